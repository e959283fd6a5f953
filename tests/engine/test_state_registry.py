"""The registry of state: strict about names, shapes and types, and clear when something does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from jepa_core.engine.state_registry import Entry, StateRegistry
from jepa_core.errors import CheckpointError
from tests.engine.training import RecipeMaker, a_trainer, snapshot, take_steps


class Count:
    """Remembers a number."""

    def __init__(self, value: int) -> None:
        self.value = value

    def state(self) -> dict[str, int]:
        return {"value": self.value}

    def restore(self, state: dict[str, int]) -> None:
        self.value = state["value"]


def a_registry(count: Count, module: nn.Module) -> StateRegistry:
    registry = StateRegistry()
    registry.add("count", count)
    registry.add_module("module", module)
    return registry


def test_what_was_read_is_what_is_written() -> None:
    source, sink = a_registry(Count(5), nn.Linear(2, 2)), a_registry(count := Count(0), linear := nn.Linear(2, 2))
    states = source.read()
    sink.write(states)
    assert count.value == 5
    assert torch.equal(linear.weight, states["module"]["weight"])


def test_one_name_is_registered_once() -> None:
    registry = a_registry(Count(0), nn.Linear(1, 1))
    with pytest.raises(AssertionError, match="'count' is registered twice"):
        registry.add_entry("count", Entry(dict, lambda _: None))


def test_a_missing_or_unknown_entry_is_named() -> None:
    registry = a_registry(Count(0), nn.Linear(1, 1))
    with pytest.raises(CheckpointError, match=r"without \['count'\], with unknown \['counts'\]"):
        registry.write({"module": nn.Linear(1, 1).state_dict(), "counts": {"value": 1}})


@pytest.mark.parametrize(
    "state",
    [
        {"weight": torch.zeros(2, 2)},
        {"weight": torch.zeros(2, 2), "bias": torch.zeros(3)},
        {"weight": torch.zeros(2, 2), "bias": torch.zeros(2, dtype=torch.float64)},
        {"weight": torch.zeros(2, 2), "bias": torch.zeros(2), "gain": torch.zeros(2)},
    ],
)
def test_tensors_of_other_names_shapes_or_types_are_refused(state: dict[str, torch.Tensor]) -> None:
    registry = a_registry(Count(0), nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match=r"checkpoint's module does not fit the recipe: .*(bias|gain)"):
        registry.write({"count": {"value": 1}, "module": state})


@pytest.mark.parametrize("state", [{}, [], None, {"values": 3}])
def test_an_entry_that_cannot_be_restored_is_named(state: Any) -> None:
    registry = a_registry(Count(0), linear := nn.Linear(1, 1))
    with pytest.raises(CheckpointError, match="checkpoint's count does not fit the recipe"):
        registry.write({"count": state, "module": linear.state_dict()})


OTHERS = [
    "encoder.layers=2",
    "quantizer.codes=16",
    "losses.info_nce.queue=32",
    "projector.dim=10",
    "predictor.kind=identity",
]


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_of_another_recipe_is_refused(tiny_recipe: RecipeMaker, tmp_path: Path, other: str) -> None:
    checkpoint = a_trainer(tiny_recipe(), tmp_path).checkpoints.save(
        1, snapshot(take_steps(a_trainer(tiny_recipe(), tmp_path), 1))
    )
    with pytest.raises(CheckpointError, match=r"does not fit the recipe.*Resume with the recipe it was written by"):
        a_trainer(tiny_recipe(other), tmp_path).resume(checkpoint)


def test_a_checkpoint_of_other_moments_is_refused(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    fixed = take_steps(a_trainer(tiny_recipe(), tmp_path), 1)
    states = snapshot(fixed)
    states["optimizer"]["encoder.gone.weight"] = states["optimizer"]["encoder.norm.weight"]
    with pytest.raises(CheckpointError, match="checkpoint's optimizer does not fit the recipe"):
        a_trainer(tiny_recipe(), tmp_path).state.write(states)


def test_a_checkpoint_of_other_data_is_refused(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    states = snapshot(take_steps(a_trainer(tiny_recipe(), tmp_path), 1))
    with pytest.raises(CheckpointError, match=r"grids of up to 8 × 8 cells.*up to 9 × 9"):
        a_trainer(tiny_recipe("data.side=9"), tmp_path).state.write(states)
