"""The Chamfer distance equals its definition, in lists of any size, and is finite where there is no point."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jepa_core.observations import Observations
from jepa_points import point_sets
from jepa_points.space import PointSpace


def lists(num_lists: int, num_sets: int, num_points: int) -> Observations:
    drawn = PointSpace(num_points=num_points).sample(num_lists * num_sets)
    return drawn.map(lambda tensor: tensor.unflatten(0, (num_lists, num_sets)))


def naive(first: Observations, second: Observations) -> float:
    """Of two sets."""
    x, y = (each["points"][each["mask"]] for each in (first, second))
    squared = torch.cdist(x.double(), y.double()).square()
    return float(squared.amin(1).mean() + squared.amin(0).mean())


@pytest.mark.parametrize("at_once", [1, 500, 1 << 18])
def test_it_is_the_mean_squared_distance_to_the_nearest_both_ways(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(point_sets, "_DISTANCES_AT_ONCE", at_once)
    torch.manual_seed(0)
    first, second = lists(2, 3, 8), lists(2, 4, 11)
    expected = [[[naive(first[v, a], second[v, b]) for b in range(4)] for a in range(3)] for v in range(2)]
    torch.testing.assert_close(point_sets.chamfer(first, second), torch.tensor(expected))


def test_far_from_the_origin_no_digit_is_lost() -> None:
    torch.manual_seed(0)
    first, second = lists(1, 2, 6), lists(1, 2, 6)

    def moved(sets: Observations) -> Observations:
        return Observations({"points": sets["points"] + 1024.0, "mask": sets["mask"]})

    near = point_sets.chamfer(first, second)
    torch.testing.assert_close(point_sets.chamfer(moved(first), moved(second)), near, rtol=1e-3, atol=1e-4)


def test_a_set_without_points_is_far_from_others_and_none_from_its_like() -> None:
    some, none = lists(1, 1, 5), lists(1, 1, 5).map(torch.zeros_like)
    assert point_sets.chamfer(some, none) == point_sets.FAR
    assert point_sets.chamfer(none, some) == point_sets.FAR
    assert point_sets.chamfer(none, none) == 0


def test_the_middle_is_the_mean_of_what_is_there() -> None:
    points = torch.tensor([[1.0, 2, 3], [3, 4, 5], [100, 100, 100]])
    mask = torch.tensor([True, True, False])
    middles: Tensor = point_sets.middle(points, mask)
    assert middles.tolist() == [2, 3, 4]
    assert point_sets.middle(points, ~torch.ones(3, dtype=torch.bool)).tolist() == [0, 0, 0]
