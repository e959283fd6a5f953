"""State outside the gradient: written by `after_step` alone, from statistics that add up."""

from __future__ import annotations

import torch
from torch import nn

from jepa_core.conformance.comparison import require_close, require_equal, require_finite
from jepa_core.conformance.families import statistics_in
from jepa_core.conformance.host_sync import no_host_sync
from jepa_core.conformance.module_state import state_of
from jepa_core.conformance.situations import EMBEDDING_DIM, Tensors
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, require
from jepa_core.contracts import HasState, NeedsInitialisation, Statistics
from jepa_core.engine.seeds import seed_generators

_NUM_STEPS = 25


def statistics_usable(trial: Trial) -> None:
    """Statistics have no gradient, come only when asked for, and have somewhere to go."""
    module = trial.build()
    has_somewhere = isinstance(module, HasState)
    inputs = trial.inputs(module)
    named = {name: t for name, t in trial.call(module, inputs).items() if name.startswith(("sums.", "rows."))}
    for name, tensor in named.items():
        require(not tensor.requires_grad, f"the statistics' {name} has a gradient: detach it")
    require(has_somewhere or not named, f"it gives {', '.join(named)}, but has no after_step")
    if trial.subject.component.family == "quantizer":
        unasked = module(inputs["values"], inputs["mask"], collect=False).statistics
        require(not unasked.sums and not unasked.rows, "it gives statistics though collect is False")
    elif not named:
        raise NotApplicable("it gives no statistics")


def written_after_step(trial: Trial) -> None:
    """`after_step` changes the state, alike under one seed, keeping shapes and dtypes, within what checkpoints hold."""
    states = []
    for _ in range(2):
        module = _stateful(trial)
        before = state_of(module)
        statistics = _statistics(trial, module)
        with no_host_sync():
            apply_statistics(module, statistics)
        states.append(state_of(module))
    after = states[0]
    kinds = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in after.items()}
    for name, tensor in before.items():
        require(kinds.get(name) == (tuple(tensor.shape), tensor.dtype), f"after_step makes {name} {kinds.get(name)}")
    changed = [name for name, tensor in after.items() if not torch.equal(before[name], tensor)]
    require(bool(changed), "after_step changes nothing")
    forgotten = sorted(set(changed) - set(module.state_dict()))
    require(not forgotten, f"after_step changes {', '.join(forgotten)}, which no checkpoint holds (persistent=False)")
    require_equal(states[1], states[0], "the same step again under one seed")


def halves_merge(trial: Trial) -> None:
    """Merged statistics of two halves of a batch leave the state of the whole batch."""
    at_once, in_halves = _stateful(trial), _stateful(trial)
    inputs = trial.inputs(at_once)
    half = trial.situation.batch // 2
    parts = [{name: tensor[span] for name, tensor in inputs.items()} for span in (slice(half), slice(half, None))]
    apply_statistics(at_once, statistics_in(trial.call(at_once, inputs)))
    merged = Statistics.merge([statistics_in(trial.call(in_halves, part)) for part in parts])
    apply_statistics(in_halves, merged)
    require_close(state_of(in_halves), state_of(at_once), "after a step on two half batches instead of the whole one")


def stays_finite(trial: Trial) -> None:
    """Many steps leave a finite state, whatever the batch."""
    module = _stateful(trial)
    for step in range(_NUM_STEPS):
        apply_statistics(module, _statistics(trial, module))
        require_finite(state_of(module), f"the state is not finite after {step + 1} steps")


def initialised(trial: Trial) -> None:
    """A start from data is the same under one seed, finite, and keeps the state loadable; few tokens are enough."""
    before = state_of(trial.build())
    after = _initialised(trial, num_tokens=300)
    require_equal(_initialised(trial, num_tokens=300), after, "initialised again under one seed")
    require(any(not torch.equal(before[name], tensor) for name, tensor in after.items()), "initialise changes nothing")
    for name, tensor in after.items():
        kind, was = (tuple(tensor.shape), tensor.dtype), (tuple(before[name].shape), before[name].dtype)
        require(kind == was, f"initialise makes {name} {kind}, where it was {was}")
    for num_tokens in (300, 2):
        state = _initialised(trial, num_tokens=num_tokens)
        require_finite(state, f"the state is not finite after a start from {num_tokens} tokens")


def _initialised(trial: Trial, *, num_tokens: int) -> Tensors:
    """The state after a start from so many tokens."""
    module = trial.build()
    if not isinstance(module, NeedsInitialisation):
        raise NotApplicable("it does not start from data (no `initialise`)")
    seed_generators(trial.seed + 4)
    module.initialise(torch.randn(num_tokens, EMBEDDING_DIM))
    return state_of(module)


def _stateful(trial: Trial) -> nn.Module:
    module = trial.build()
    if not isinstance(module, HasState):
        raise NotApplicable("it keeps no state outside the gradient (no `after_step`)")
    return module


def _statistics(trial: Trial, module: nn.Module) -> Statistics:
    return statistics_in(trial.outputs(module))


def apply_statistics(module: nn.Module, statistics: Statistics) -> None:
    """One `after_step`, its draws fixed."""
    assert isinstance(module, HasState)
    seed_generators(3)
    with torch.no_grad():
        module.after_step(statistics)
