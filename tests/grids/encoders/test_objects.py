"""The object encoder: who attends to whom."""

from __future__ import annotations

import torch

from jepa_core.contracts import Observations
from jepa_core.facts import EncoderFacts
from jepa_plugins.grids.encoders.objects import ObjectEncoder, ObjectsConfig
from jepa_plugins.grids.space import GridSpace
from tests.grids.observed import observed


def encoder(**settings: object) -> ObjectEncoder:
    torch.manual_seed(0)
    config = ObjectsConfig(dim=8, heads=2, layers=1, max_objects=4, **settings)  # type: ignore[arg-type]
    return config.build(EncoderFacts(space=GridSpace(side=9))).eval()


def grid_with(*cells: tuple[int, int, int]) -> Observations:
    """One 9 × 9 grid with single cells (y, x, colour), and its size."""
    grid = torch.zeros(1, 9, 9, dtype=torch.uint8)
    for y, x, colour in cells:
        grid[0, y, x] = colour
    return observed(grid, torch.tensor([[9, 9]]))


def test_an_object_sees_its_neighbour_and_no_one_farther() -> None:
    encode = encoder()
    first, neighbour, far = (0, 0), (1, 1), (8, 8)
    before = encode(grid_with((*first, 1), (*neighbour, 2), (*far, 3))).values[0, 0]
    other_neighbour = encode(grid_with((*first, 1), (*neighbour, 5), (*far, 3))).values[0, 0]
    other_far = encode(grid_with((*first, 1), (*neighbour, 2), (*far, 6))).values[0, 0]

    assert torch.equal(before, other_far)
    assert not torch.allclose(before, other_neighbour)


def test_equal_objects_have_equal_tokens_wherever_they_stand_in_the_order() -> None:
    encode = encoder()
    alone = encode(grid_with((4, 4, 1)))
    behind_another = encode(grid_with((0, 0, 2), (4, 4, 1)))

    torch.testing.assert_close(alone.values[0, 0], behind_another.values[0, 1])


def test_the_canvas_tells_grids_of_equal_proportions_apart_when_asked() -> None:
    small = torch.ones(1, 9, 9, dtype=torch.uint8)
    small[:, 2:, :] = 10
    small[:, :, 2:] = 10
    large = torch.ones(1, 9, 9, dtype=torch.uint8)
    large[:, 4:, :] = 10
    large[:, :, 4:] = 10
    grids, sizes = torch.cat([small, large]), torch.tensor([[2, 2], [4, 4]])
    with_size, without = encoder(canvas_size=True).canvas_shares(sizes), encoder().canvas_shares(sizes)

    torch.testing.assert_close(with_size, torch.tensor([[2 / 9, 2 / 9], [4 / 9, 4 / 9]]))
    assert without.shape == (2, 0)
    assert not torch.allclose(*encoder(canvas_size=True)(observed(grids, sizes)).values[:, 0])
