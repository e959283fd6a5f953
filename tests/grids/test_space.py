"""The space of grids: equality, likeness, edits, and other data in it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.errors import DataError
from jepa_core.observations import Observations
from jepa_core.spaces import Space, space_of, space_state
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.space import GridSpace
from tests.grids.nulls.ranking import random_observations

SPACE = GridSpace(side=6)


def test_grids_have_one_key_if_and_only_if_they_are_equal() -> None:
    generator = torch.Generator().manual_seed(2)
    grids = torch.randint(0, 2, (300, 2, 2, 2), generator=generator, dtype=torch.uint8)
    keys = GridSpace(side=2).keys(Observations({"grid": grids, "size": torch.full((300, 2, 2), 2)}))
    assert keys.shape == (300, 2)
    cells = grids.flatten(0, 1).flatten(1)
    equal = (cells[:, None] == cells[None]).all(-1)
    assert torch.equal(keys.flatten()[:, None] == keys.flatten()[None], equal)
    alone = Observations({"grid": grids[5, 1], "size": torch.tensor([2, 2])})
    assert GridSpace(side=2).keys(alone).equal(keys[5, 1])


def test_likeness_is_the_share_of_equal_cells() -> None:
    lists = random_observations(3, 4)
    cells = lists["grid"].flatten(2)
    expected = (cells[:, :, None] == cells[:, None]).float().mean(-1)
    torch.testing.assert_close(SPACE.alike(lists), expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_an_edit_is_another_grid_of_the_same_size(seed: int) -> None:
    sequences = random_observations(5, 3, seed=seed)
    torch.manual_seed(seed)
    changed = SPACE.editor(sequences)(sequences[:, -1])
    assert (SPACE.keys(changed) != SPACE.keys(sequences[:, -1])).all()
    assert changed["size"].equal(sequences[:, -1]["size"])


def test_other_data_is_padded_with_the_outside_or_refused() -> None:
    small = random_observations(4, side=3)
    fitted = SPACE.fitted(small)
    assert fitted["grid"].shape == (4, 6, 6)
    assert fitted["grid"][:, :3, :3].equal(small["grid"])
    assert (fitted["grid"][:, 3:] == OUTSIDE).all()
    with pytest.raises(DataError, match="grids of up to 2 × 2 cells, and this data has one of 3"):
        GridSpace(side=2).fitted(small)


def test_it_survives_a_checkpoint() -> None:
    assert isinstance(SPACE, Space)
    assert space_of(space_state(SPACE), GridSpace) == SPACE
