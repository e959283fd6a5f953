"""Transforms of grids against NumPy, one grid at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.transforms import (
    NUM_DIHEDRAL,
    apply_dihedral,
    flip,
    permute_colours,
    random_colour_permutation,
    random_dihedral,
    random_translation,
    random_wrap,
    translate,
    wrap,
)

SIDE = 7
Batch = tuple[Tensor, Tensor]


@st.composite
def batches(draw: st.DrawFn, density: float = 0.5) -> Batch:
    """Two to four sequences of one to three grids of any size up to 7 × 7."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape = (draw(st.integers(2, 4)), draw(st.integers(1, 3)))
    sizes = torch.randint(1, SIDE + 1, (*shape, 2), generator=generator)
    grids = torch.randint(1, 10, (*shape, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    grids[torch.rand(grids.shape, generator=generator) > density] = 0
    index = torch.arange(SIDE)
    inside = (index[:, None] < sizes[..., :1, None]) & (index < sizes[..., 1:, None])
    return torch.where(inside, grids, OUTSIDE), sizes


def contents(grids: Tensor, sizes: Tensor) -> list[list[np.ndarray]]:
    """Each grid cut to its size; fails if there is anything but the outside beyond it."""
    cut = []
    for sequence, sequence_sizes in zip(grids.numpy(), sizes.tolist(), strict=True):
        cut.append([grid[:height, :width] for grid, (height, width) in zip(sequence, sequence_sizes, strict=True)])
        for grid, (height, width) in zip(sequence, sequence_sizes, strict=True):
            assert (grid[height:] == OUTSIDE).all()
            assert (grid[:, width:] == OUTSIDE).all()
            assert (grid[:height, :width] < OUTSIDE).all()
    return cut


@given(batches(), st.lists(st.integers(0, NUM_DIHEDRAL - 1), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_dihedral_elements_act_on_the_content_of_each_grid_as_numpy_does(batch: Batch, elements: list[int]) -> None:
    grids, sizes = batch
    turned = contents(*apply_dihedral(grids, sizes, torch.tensor(elements[: len(grids)])))
    for before, after, element in zip(contents(grids, sizes), turned, elements, strict=False):
        for grid, image in zip(before, after, strict=True):
            expected = grid.T if element & 4 else grid
            expected = expected[:, ::-1] if element & 1 else expected
            expected = expected[::-1] if element & 2 else expected
            np.testing.assert_array_equal(image, expected)


def test_the_eight_elements_are_eight_different_symmetries_including_all_rotations() -> None:
    grid = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2)
    sizes = torch.full((8, 1, 2), 2)
    images, _ = apply_dihedral(grid.expand(8, 1, 2, 2), sizes, torch.arange(8))
    distinct = {tuple(image.flatten().tolist()) for image in images}
    assert len(distinct) == 8
    assert {tuple(torch.rot90(grid[0, 0], turns).flatten().tolist()) for turns in range(4)} <= distinct


@given(batches(), st.booleans(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_flips_mirror_each_grid_within_its_own_size(batch: Batch, horizontal: bool, vertical: bool) -> None:
    grids, sizes = batch
    flipped, flipped_sizes = flip(
        grids, sizes, torch.full((len(grids),), horizontal), torch.full((len(grids),), vertical)
    )
    assert flipped_sizes.equal(sizes)
    for before, after in zip(contents(grids, sizes), contents(flipped, sizes), strict=True):
        for grid, image in zip(before, after, strict=True):
            np.testing.assert_array_equal(image, grid[:: -1 if vertical else 1, :: -1 if horizontal else 1])


@given(batches(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_colour_permutations_rename_colours_and_leave_the_outside_alone(batch: Batch, keep_background: bool) -> None:
    grids, sizes = batch
    permutation = random_colour_permutation(len(grids), "cpu", keep_background)
    assert permutation.sort(dim=1).values.equal(torch.arange(10).expand(len(grids), 10))
    renamed = contents(permute_colours(grids, permutation), sizes)
    for before, after, names in zip(contents(grids, sizes), renamed, permutation.numpy(), strict=True):
        for grid, image in zip(before, after, strict=True):
            np.testing.assert_array_equal(image, names[grid])
            if keep_background:
                np.testing.assert_array_equal(image == 0, grid == 0)


def test_random_permutations_without_a_kept_background_move_it() -> None:
    assert (random_colour_permutation(64, "cpu", keep_background=False)[:, 0] != 0).any()
    assert (random_colour_permutation(64, "cpu")[:, 0] == 0).all()


@given(batches(density=0.05), st.sampled_from([0.0, 0.1, 0.34, 1.0]))
@settings(max_examples=100, deadline=None)
def test_translation_moves_all_grids_of_a_sequence_alike_and_loses_no_cell(batch: Batch, max_share: float) -> None:
    grids, sizes = batch
    moved, moved_sizes = random_translation(grids, sizes, max_share)
    assert moved_sizes.equal(sizes)
    limit = np.floor(sizes.numpy().min(axis=1) * max_share + 1e-4)
    images = contents(moved, sizes)
    for before, after, (most_down, most_right) in zip(contents(grids, sizes), images, limit, strict=True):
        shifts = [
            (dy, dx)
            for dy in range(-SIDE, SIDE + 1)
            for dx in range(-SIDE, SIDE + 1)
            if abs(dy) <= most_down and abs(dx) <= most_right
            if all(is_shift(grid, image, dy, dx) for grid, image in zip(before, after, strict=True))
        ]
        assert shifts


def is_shift(grid: np.ndarray, image: np.ndarray, dy: int, dx: int) -> bool:
    """Whether the coloured cells of the image are all those of the grid, each moved by (dy, dx)."""
    cells = {(y + dy, x + dx, int(grid[y, x])) for y, x in zip(*np.nonzero(grid), strict=True)}
    return cells == {(y, x, int(image[y, x])) for y, x in zip(*np.nonzero(image), strict=True)}


def test_translation_reaches_every_shift_that_loses_nothing() -> None:
    grids = torch.zeros(400, 2, 5, 5, dtype=torch.uint8)
    grids[:, 0, 1, 2], grids[:, 1, 3, 2] = 4, 7
    moved, _ = random_translation(grids, torch.full((400, 2, 2), 5))
    places = {tuple(place) for place in (moved[:, 0] == 4).nonzero()[:, 1:].tolist()}
    assert places == {(row, column) for row in (0, 1, 2) for column in range(5)}


def test_a_sequence_whose_content_fills_a_grid_stays() -> None:
    grids = torch.randint(1, 10, (3, 2, 4, 4), dtype=torch.uint8)
    moved, _ = random_translation(grids, torch.full((3, 2, 2), 4))
    assert moved.equal(grids)


def test_translate_moves_down_and_right_and_fills_with_background() -> None:
    grids = torch.full((1, 1, 3, 3), OUTSIDE, dtype=torch.uint8)
    grids[0, 0, :2, :2] = torch.tensor([[5, 0], [0, 0]])
    moved = translate(grids, torch.full((1, 1, 2), 2), torch.tensor([[1, 1]]))
    assert moved[0, 0].tolist() == [[0, 0, 10], [0, 5, 10], [10, 10, 10]]


@given(batches(), st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_wrap_rolls_each_grid_within_its_own_size(batch: Batch, shifts: list[tuple[int, int]]) -> None:
    grids, sizes = batch
    moved = contents(wrap(grids, sizes, torch.tensor(shifts[: len(grids)])), sizes)
    for before, after, shift in zip(contents(grids, sizes), moved, shifts, strict=False):
        for grid, image in zip(before, after, strict=True):
            np.testing.assert_array_equal(image, np.roll(grid, shift, axis=(0, 1)))


def test_random_wraps_reach_every_shift_and_move_all_grids_of_a_sequence_alike() -> None:
    grids = torch.zeros(800, 2, 4, 3, dtype=torch.uint8)
    grids = torch.nn.functional.pad(grids, (0, 1), value=OUTSIDE)
    grids[:, :, 0, 0] = 1
    moved = random_wrap(grids, torch.tensor([4, 3]).expand(800, 2, 2))
    assert moved[:, 0].equal(moved[:, 1])
    assert len((moved[:, 0] == 1).flatten(1).long().argmax(1).unique()) == 12


def test_draws_differ_between_sequences_and_repeat_under_one_seed() -> None:
    torch.manual_seed(3)
    first = random_dihedral(64, "cpu")
    torch.manual_seed(3)
    assert random_dihedral(64, "cpu").equal(first)
    assert first.unique().tolist() == list(range(NUM_DIHEDRAL))


@pytest.mark.parametrize("max_share", [0.1, 1.0])
def test_transforms_keep_dtypes_and_trace_without_graph_breaks(max_share: float) -> None:
    def transform(grids: Tensor, sizes: Tensor) -> Batch:
        grids = permute_colours(grids, random_colour_permutation(len(grids), grids.device))
        grids, sizes = apply_dihedral(grids, sizes, random_dihedral(len(grids), grids.device))
        return random_translation(grids, sizes, max_share)

    grids, sizes = torch.randint(0, 10, (2, 3, 6, 6), dtype=torch.uint8), torch.full((2, 3, 2), 6)
    out, out_sizes = torch.compile(transform, fullgraph=True, backend="eager")(grids, sizes)
    assert (out.dtype, out.shape) == (torch.uint8, grids.shape)
    assert (out_sizes.dtype, out_sizes.shape) == (torch.int64, sizes.shape)
