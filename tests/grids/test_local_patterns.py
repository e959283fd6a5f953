"""Numbers of local patterns against squares of cells compared by hand, in all eight orientations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.local_patterns import LocalPatterns, Told
from jepa_plugins.grids.transforms import NUM_DIHEDRAL, apply_dihedral

Square = NDArray[np.int64]


def canonical(square: Square, told: Told) -> tuple[object, ...]:
    """What makes two squares the same pattern, spelled out."""
    images = [np.rot90(image, turn) for image in (square, square.T) for turn in range(4)]
    return min(facts(image, told) for image in images)


def facts(square: Square, told: Told) -> tuple[object, ...]:
    if told == "colours":
        return tuple(square.flatten().tolist())
    outside = square == OUTSIDE
    right = (square[:, 1:] != square[:, :-1]) & ~outside[:, 1:] & ~outside[:, :-1]
    below = (square[1:] != square[:-1]) & ~outside[1:] & ~outside[:-1]
    return tuple(np.concatenate([outside.flatten(), right.flatten(), below.flatten()]).tolist())


def numbers_of(patterns: LocalPatterns, grids: torch.Tensor) -> torch.Tensor:
    numbers: torch.Tensor = patterns(grids)[0]
    return torch.where(numbers < 0, ~numbers, numbers)


@pytest.mark.parametrize("told", ["borders", "colours"])
@pytest.mark.parametrize("radius", [1, 2])
def test_squares_have_one_number_exactly_where_they_are_equal_in_some_orientation(told: Told, radius: int) -> None:
    grids = torch.randint(0, 2, (30, 5, 6), dtype=torch.uint8)
    grids[10:, 4:], grids[20:, :, 5:] = OUTSIDE, OUTSIDE
    numbers = numbers_of(LocalPatterns(radius, told, 2**31 - 1), grids)

    padded = np.pad(grids.numpy().astype(np.int64), ((0, 0), (radius, radius), (radius, radius)), constant_values=10)
    seen: dict[int, tuple[object, ...]] = {}
    side = 2 * radius + 1
    for (grid, cell), number in np.ndenumerate(numbers.numpy()):
        row, column = divmod(cell, 6)
        pattern = canonical(padded[grid, row : row + side, column : column + side], told)
        assert seen.setdefault(int(number), pattern) == pattern
    assert len(set(seen.values())) == len(seen)


def test_a_turned_grid_has_the_same_patterns_elsewhere() -> None:
    grids = torch.randint(0, 5, (NUM_DIHEDRAL, 1, 6, 6), dtype=torch.uint8)
    sizes = torch.full((NUM_DIHEDRAL, 1, 2), 6)
    turned, _ = apply_dihedral(grids, sizes, torch.arange(NUM_DIHEDRAL))
    patterns = LocalPatterns(2, "borders", 4096)

    assert patterns(grids[:, 0]).sort(2).values.equal(patterns(turned[:, 0]).sort(2).values)


def test_borders_do_not_know_which_colours_meet_there() -> None:
    grids = torch.randint(0, 4, (8, 6, 6), dtype=torch.uint8)
    renamed = torch.tensor([7, 3, 0, 9], dtype=torch.uint8)[grids.long()]
    patterns = LocalPatterns(1, "borders", 4096)

    assert patterns(grids).equal(patterns(renamed))
    assert not LocalPatterns(1, "colours", 4096)(grids).equal(LocalPatterns(1, "colours", 4096)(renamed))


def test_a_square_of_one_colour_tells_nothing() -> None:
    grids = torch.full((1, 9, 9), 3, dtype=torch.uint8)
    grids[0, 0, 0] = 4
    grids[0, 8] = OUTSIDE

    told = LocalPatterns(1, "borders", 4096)(grids).view(9, 9) >= 0

    assert told[:2, :2].all()
    assert told.sum() == 4
