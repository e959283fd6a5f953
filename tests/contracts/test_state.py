"""State outside the gradient: written by `after_step` alone, from statistics that add up."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from jepa_core.contracts import HasState, Statistics
from tests.contracts.families import MODULE_FAMILIES, statistics_in
from tests.contracts.host_sync import NoHostSync
from tests.contracts.module_state import assert_equal, state_of
from tests.contracts.situations import SITUATIONS, Situation, Tensors
from tests.contracts.subjects import Subject, subjects

every_module = pytest.mark.parametrize("subject", subjects(*MODULE_FAMILIES))
every_stateful = pytest.mark.parametrize("subject", subjects(*MODULE_FAMILIES, offering=HasState))


def statistics_of(subject: Subject, module: nn.Module, inputs: Tensors) -> Statistics:
    return statistics_in(subject.call(module, inputs))


def apply(module: nn.Module, statistics: Statistics) -> None:
    """One `after_step`, its draws fixed."""
    assert isinstance(module, HasState)
    torch.manual_seed(3)
    with torch.no_grad():
        module.after_step(statistics)


@every_module
def test_statistics_have_no_gradient_and_somewhere_to_go(subject: Subject) -> None:
    module = subject.build()
    statistics = statistics_of(subject, module, subject.inputs(module))
    tensors = [*statistics.sums.values(), *statistics.rows.values()]
    assert not any(tensor.requires_grad for tensor in tensors)
    assert isinstance(module, HasState) or not tensors


@every_stateful
def test_after_step_changes_the_state_but_not_its_shapes(subject: Subject) -> None:
    module = subject.build()
    before = state_of(module)
    apply(module, statistics_of(subject, module, subject.inputs(module)))
    after = state_of(module)
    assert any(not torch.equal(before[name], tensor) for name, tensor in after.items())
    assert {name: (t.shape, t.dtype) for name, t in after.items()} == {
        name: (t.shape, t.dtype) for name, t in before.items()
    }


@every_stateful
def test_the_state_that_after_step_changes_is_in_checkpoints(subject: Subject) -> None:
    module = subject.build()
    before = state_of(module)
    apply(module, statistics_of(subject, module, subject.inputs(module)))
    changed = {name for name, tensor in state_of(module).items() if not torch.equal(before[name], tensor)}
    assert changed <= set(module.state_dict())


@every_stateful
def test_merged_statistics_of_two_halves_leave_the_state_of_the_whole_batch(subject: Subject) -> None:
    at_once, in_halves = subject.build(), subject.build()
    inputs = subject.inputs(at_once)
    half = len(next(iter(inputs.values()))) // 2
    parts = [{name: tensor[span] for name, tensor in inputs.items()} for span in (slice(half), slice(half, None))]
    apply(at_once, statistics_of(subject, at_once, inputs))
    apply(in_halves, Statistics.merge([statistics_of(subject, in_halves, part) for part in parts]))
    torch.testing.assert_close(state_of(in_halves), state_of(at_once))


@every_stateful
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_many_steps_leave_a_finite_state_whatever_the_batch(subject: Subject, situation: Situation) -> None:
    module = subject.build(situation)
    for _ in range(25):
        apply(module, statistics_of(subject, module, subject.inputs(module, situation)))
    assert all(tensor.isfinite().all() for tensor in state_of(module).values())


@every_stateful
def test_after_step_is_decided_by_the_seed_and_lets_the_host_never_wait(subject: Subject) -> None:
    states = []
    for _ in range(2):
        module = subject.build()
        statistics = statistics_of(subject, module, subject.inputs(module))
        with NoHostSync():
            apply(module, statistics)
        states.append(state_of(module))
    assert_equal(*states)
