"""Every leaf of a run's state counts: one that is missing is refused, and one that is altered is refused or told by how
the run ends.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from jepa_core.engine.checkpoint import load_checkpoint
from jepa_core.errors import CheckpointError
from tests.engine.test_resume import VARIED, Straight, is_equal_when_resumed
from tests.engine.training import RecipeMaker

Place = tuple[str | int, ...]

STOP = 7
"""Between two rows, after a validation, and with codes, queue and averages that have moved."""
SAMPLED = 8
"""Altered leaves in the short suite: each takes a run of five steps."""


@pytest.fixture
def straight(tiny_recipe: RecipeMaker, tmp_path: Path) -> Straight:
    return Straight(tiny_recipe(*VARIED, "quantizer.revive_every=2", "losses.info_nce.queue=24"), tmp_path)


def parts_of(tree: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Everything within a tree, and where it is: leaves and what holds them."""
    keys = tree.keys() if isinstance(tree, Mapping) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield (*place, key), tree[key]
        yield from parts_of(tree[key], (*place, key))


def holder(tree: Any, place: Place) -> Any:
    for key in place[:-1]:
        tree = tree[key]
    return tree


def without(states: dict[str, Any], place: Place) -> dict[str, Any]:
    left = copy.deepcopy(states)
    del holder(left, place)[place[-1]]
    return left


def altered(states: dict[str, Any], place: Place) -> dict[str, Any]:
    other = copy.deepcopy(states)
    held = holder(other, place)
    held[place[-1]] = another_value(held[place[-1]])
    return other


def another_value(value: Any) -> Any:
    """As near as can be: a tensor differs in one number."""
    if isinstance(value, Tensor):
        other = value.clone()
        first = other.view(-1)[:1]
        if other.dtype == torch.bool:
            first.logical_not_()
        elif other.is_floating_point():
            first.mul_(1.001).add_(0.001)
        else:
            first.add_(1)
        return other
    return value + {str: "x", int: 1, float: 1e-6}[type(value)]


def is_refused(straight: Straight, states: dict[str, Any]) -> bool:
    try:
        straight.another().state.check(states)
    except CheckpointError:
        return True
    return False


def is_noticed(straight: Straight, states: dict[str, Any]) -> bool:
    return is_refused(straight, states) or not is_equal_when_resumed(straight, STOP, states)


def test_whatever_is_left_out_is_refused(straight: Straight) -> None:
    states = load_checkpoint(straight.checkpoint(STOP))
    state = straight.another().state
    state.check(states)
    places = [place for place, _ in parts_of(states)]
    assert len(places) > 150
    accepted = []
    for place in places:
        try:
            state.check(without(states, place))
        except CheckpointError:
            continue
        accepted.append(place)
    assert accepted == []


def leaves_of(states: dict[str, Any]) -> list[Place]:
    return [place for place, value in parts_of(states) if not isinstance(value, Mapping | list)]


def test_of_leaves_that_are_altered_some_are_noticed(straight: Straight) -> None:
    states = load_checkpoint(straight.checkpoint(STOP))
    assert is_equal_when_resumed(straight, STOP, states)
    leaves = leaves_of(states)
    unnoticed = [
        place for place in leaves[:: len(leaves) // SAMPLED] if not is_noticed(straight, altered(states, place))
    ]
    assert unnoticed == []


@pytest.mark.slow
def test_each_leaf_that_is_altered_is_noticed(straight: Straight) -> None:
    states = load_checkpoint(straight.checkpoint(STOP))
    unnoticed = [place for place in leaves_of(states) if not is_noticed(straight, altered(states, place))]
    assert unnoticed == []
