"""A checkpoint holds all that a component remembers: loaded, it goes on as if nothing had happened."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jepa_core.conformance.comparison import detached, require_equal
from jepa_core.conformance.families import statistics_in
from jepa_core.conformance.module_state import differentiate, state_of
from jepa_core.conformance.situations import EMBEDDING_DIM, Tensors
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import require
from jepa_core.contracts import HasState, NeedsInitialisation
from jepa_core.engine.seeds import seed_generators

_NUM_STEPS, _SAVED_AFTER = 4, 2
_LEARNING_RATE = 0.01
_OTHER_SEED = 7


def loads(trial: Trial) -> None:
    """A module that loads another's state gives the same results as the other."""
    module, other = trial.build(), trial.build(seed=_OTHER_SEED)
    state = module.state_dict()
    for name, value in state.items():
        require(isinstance(value, Tensor), f"the state's {name} is {type(value).__name__}: checkpoints hold tensors")
    other.load_state_dict(state)
    require_equal(trial.outputs(other), trial.outputs(module), "after it has loaded another module's state")


def resumes(trial: Trial) -> None:
    """Training that is saved and restored in the middle ends as training in one go."""
    straight = _started(trial)
    _train(trial, straight, range(_NUM_STEPS))

    interrupted = _started(trial)
    _train(trial, interrupted, range(_SAVED_AFTER))
    saved = {name: tensor.clone() for name, tensor in interrupted.state_dict().items()}
    resumed = trial.build(seed=_OTHER_SEED)
    resumed.load_state_dict(saved)
    _train(trial, resumed, range(_SAVED_AFTER, _NUM_STEPS))

    why = f"trained {_NUM_STEPS} steps, saved and loaded after step {_SAVED_AFTER}"
    require_equal(_remembered(trial, resumed), _remembered(trial, straight), why)


def _started(trial: Trial) -> nn.Module:
    module = trial.build()
    if isinstance(module, NeedsInitialisation):
        module.initialise(torch.randn(300, EMBEDDING_DIM))
    return module


def _train(trial: Trial, module: nn.Module, steps: range) -> None:
    """Plain gradient descent, with `after_step`, each step's batch and draws decided by its number."""
    for step in steps:
        module.zero_grad()
        outputs = trial.call(module, trial.inputs(module, step=step), step=step)
        differentiate(outputs)
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.grad is not None:
                    parameter.sub_(_LEARNING_RATE * parameter.grad)
            if isinstance(module, HasState):
                seed_generators(trial.seed + 3 + 1000 * step)
                module.after_step(statistics_in(outputs))


def _remembered(trial: Trial, module: nn.Module) -> Tensors:
    """Its state, and what it makes of one more batch: what is kept outside of tensors shows there."""
    return state_of(module) | {f"result {name}": output for name, output in detached(trial.outputs(module)).items()}
