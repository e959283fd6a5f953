"""Grids as pictures: their colours, enlarged, on white."""

from __future__ import annotations

import torch

from jepa_core.observations import Observations
from jepa_core.spaces import HasPictures
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.space import GridSpace

BLACK, BLUE, RED, WHITE = (0, 0, 0), (0, 116, 217), (255, 65, 54), (255, 255, 255)


def pictures_of(*grids: list[list[int]], side: int) -> list[list[list[tuple[int, ...]]]]:
    """Rows of pixels, each as three bytes."""
    packed = torch.full((len(grids), side, side), OUTSIDE, dtype=torch.uint8)
    for number, grid in enumerate(grids):
        packed[number, : len(grid), : len(grid[0])] = torch.tensor(grid, dtype=torch.uint8)
    sizes = torch.tensor([[len(grid), len(grid[0])] for grid in grids])
    space = GridSpace(side=side)
    assert isinstance(space, HasPictures)
    pictures = space.pictures(Observations({"grid": packed, "size": sizes}))
    assert pictures.shape == (len(grids), 4 * side, 4 * side, 3)
    assert pictures.dtype == torch.float32
    return [[[tuple(pixel) for pixel in row] for row in picture] for picture in (pictures * 255).round().int().tolist()]


def test_a_cell_is_a_square_as_large_as_fits_and_the_rest_is_white() -> None:
    wide, full = pictures_of([[1, 0, 2]], [[0] * 5] * 4 + [[0] * 4 + [2]], side=5)
    # Three cells in twenty pixels: six pixels each, and two remain.
    assert wide[:6] == [[BLUE] * 6 + [BLACK] * 6 + [RED] * 6 + [WHITE] * 2] * 6
    assert wide[6:] == [[WHITE] * 20] * 14
    assert full[15] == [BLACK] * 20
    assert full[16:] == [[BLACK] * 16 + [RED] * 4] * 4


def test_every_colour_is_another() -> None:
    (picture,) = pictures_of([[*range(10)]], side=11)
    assert len({pixel for row in picture for pixel in row}) == 11


def test_the_smallest_space_has_pictures_too() -> None:
    (picture,) = pictures_of([[2]], side=1)
    assert picture == [[RED] * 4] * 4
