"""Grids as JSON gives them, checked and packed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.datasets.packing import pack_grids, read_grid

rectangles = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(0, 9), min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    )
)


@given(st.lists(rectangles, max_size=6))
@settings(max_examples=60, deadline=None)
def test_packed_grids_hold_their_content_in_the_top_left_corner_and_the_outside_elsewhere(
    rows: list[list[list[int]]],
) -> None:
    packed, sizes = pack_grids([read_grid(grid) for grid in rows], side=6)
    assert packed.shape == (len(rows), 6, 6)
    for grid, image, size in zip(rows, packed, sizes, strict=True):
        height, width = size.tolist()
        assert image[:height, :width].tolist() == grid
        assert (image == OUTSIDE).sum() == 36 - height * width


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "not a non-empty list of non-empty rows"),
        ([], "not a non-empty list of non-empty rows"),
        ([[]], "not a non-empty list of non-empty rows"),
        ([1, 2], "not a non-empty list of non-empty rows"),
        ([[1, 2], [3]], "rows of 1 to 2 cells"),
        ([[1, 10]], "has a cell 10"),
        ([[1, -1]], "has a cell -1"),
        ([[1, 300]], "has a cell 300"),
        ([[1, 2.0]], "has a cell 2.0"),
        ([["1"]], "has a cell '1'"),
        ([[None]], "has a cell None"),
        ([[1, True]], "has a cell True"),
        ([[[1, 2], []]], r"has a cell \[1, 2\]"),
        ([[10, {}]], "has a cell 10"),
        ([[1, 10**30]], "has a cell 1000000"),
        ([[1, float("nan")]], "has a cell nan"),
        ([[1, 2j]], "has a cell 2j"),
    ],
)
def test_what_is_no_grid_is_refused_with_what_is_wrong(value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_grid(value)
