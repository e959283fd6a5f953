"""`forward` is a function of its inputs, its state and the seed, and changes none of them."""

from __future__ import annotations

import copy

from jepa_core.conformance.comparison import detached, require_equal
from jepa_core.conformance.host_sync import no_host_sync
from jepa_core.conformance.module_state import foreign_randomness_untouched, state_of
from jepa_core.conformance.trial import Trial

_MODES = {True: "in training mode", False: "in evaluation mode"}


def state_untouched(trial: Trial) -> None:
    """`forward` leaves parameters and buffers as they were."""
    for training, mode in _MODES.items():
        module = trial.build().train(training)
        state = state_of(module)
        trial.outputs(module)
        require_equal(state_of(module), state, f"forward changes the state {mode}")


def remembers_nothing(trial: Trial) -> None:
    """A second call gives what the first gave, and a copy the same: the target network is one."""
    for training, mode in _MODES.items():
        module = trial.build().train(training)
        first = detached(trial.outputs(module))
        require_equal(trial.outputs(module), first, f"a second call on the same batch {mode}")
        require_equal(trial.outputs(copy.deepcopy(module)), first, f"a copy of the module {mode}")


def inputs_untouched(trial: Trial) -> None:
    """`forward` leaves its inputs as they were."""
    for training, mode in _MODES.items():
        module = trial.build().train(training)
        inputs = detached(trial.inputs(module))
        given = {name: tensor.clone() for name, tensor in inputs.items()}
        trial.call(module, inputs)
        require_equal(inputs, given, f"forward writes to its inputs {mode}")


def seeded(trial: Trial) -> None:
    """One seed gives one module and one result, drawn from torch's generator alone."""
    with foreign_randomness_untouched():
        module, same = trial.build(), trial.build()
        first, again = trial.outputs(module), trial.outputs(same)
    require_equal(state_of(same), state_of(module), "built again under one seed")
    require_equal(again, first, "called again under one seed")


def never_waits(trial: Trial) -> None:
    """`forward` never lets the host wait for the device."""
    for training in _MODES:
        module = trial.build().train(training)
        inputs = trial.inputs(module)
        with no_host_sync():
            trial.call(module, inputs)
