"""Edits of grids: one change each, within the grid, with colours of the palette."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jepa_core.contracts import Observations
from jepa_plugins.grids.edits import (
    colours_of,
    edited,
    exchanged_colours,
    mirrored,
    recoloured_cell,
    shifted_by_one,
)
from tests.grids.nulls.ranking import random_observations

Edit = Callable[[Tensor, Tensor, Tensor], Tensor]


def drawn(seed: int) -> tuple[Observations, torch.Tensor]:
    observed = random_observations(20, side=5, seed=seed)
    torch.manual_seed(seed)
    return observed, colours_of(observed["grid"])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999))
def test_an_edit_changes_every_grid_and_nothing_outside_it(seed: int) -> None:
    observed, palette = drawn(seed)
    changed = edited(observed["grid"], observed["size"], palette)
    assert (changed != observed["grid"]).flatten(1).any(1).all()
    assert (changed == 10).equal(observed["grid"] == 10)
    assert changed.dtype == torch.uint8


def test_one_cell_gets_another_colour_of_the_palette() -> None:
    observed, palette = drawn(0)
    changed = recoloured_cell(observed["grid"], observed["size"], palette)
    assert (changed != observed["grid"]).flatten(1).sum(1).eq(1).all()
    has_choice = palette.sum(1) > 1
    assert (colours_of(changed) & ~palette)[has_choice].sum() == 0


@pytest.mark.parametrize("edit", [mirrored, shifted_by_one])
def test_moves_keep_the_cells_of_each_colour(edit: Edit) -> None:
    observed, palette = drawn(1)
    moved = edit(observed["grid"], observed["size"], palette)
    for colour in range(11):
        assert (moved == colour).flatten(1).sum(1).equal((observed["grid"] == colour).flatten(1).sum(1))


@pytest.mark.parametrize("edit", [mirrored, exchanged_colours])
def test_mirrors_and_exchanges_undo_themselves(edit: Edit) -> None:
    observed, palette = drawn(2)
    torch.manual_seed(5)
    once = edit(observed["grid"], observed["size"], palette)
    torch.manual_seed(5)
    assert edit(once, observed["size"], palette).equal(observed["grid"])


def test_a_shift_is_one_of_four_rolls_within_the_grid() -> None:
    observed, palette = drawn(3)
    moved = shifted_by_one(observed["grid"], observed["size"], palette)
    for before, after, (height, width) in zip(observed["grid"], moved, observed["size"].tolist(), strict=True):
        content = before[:height, :width]
        rolls = [content.roll(step, dims=axis) for step in (-1, 1) for axis in (0, 1)]
        assert any(after[:height, :width].equal(roll) for roll in rolls)
