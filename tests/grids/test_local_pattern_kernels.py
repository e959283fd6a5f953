"""The kernels of local patterns against plain torch: on a GPU, or on the CPU through Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jepa_plugins.grids import bag_of_patterns as bags
from jepa_plugins.grids import local_patterns
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.local_patterns import Cut, LocalPatterns, Told
from tests.triton_kernels import DEVICE, needs_triton

pytestmark = needs_triton


def with_kernels(monkeypatch: pytest.MonkeyPatch, chosen: bool) -> None:
    for module in (bags, local_patterns):
        monkeypatch.setattr(module, "has_kernels", lambda _: chosen)


@pytest.mark.parametrize(("told", "cut"), [("colours", "whole"), ("borders", "levels"), ("borders", "masks")])
@pytest.mark.parametrize("radius", [1, 2, 3])
@pytest.mark.parametrize("shape", [(3, 5, 6), (1, 1, 1), (2, 9, 4)])
def test_numbers_are_the_same(
    monkeypatch: pytest.MonkeyPatch, told: Told, cut: Cut, radius: int, shape: tuple[int, int, int]
) -> None:
    grids = torch.randint(0, 4, shape, dtype=torch.uint8, device=DEVICE)
    grids[-1, -1:], grids[0, :, -1:] = OUTSIDE, 3
    grids[0, :3, :3] = 2
    for bins in (7, 2**31 - 1):
        patterns = LocalPatterns(radius, told, bins).to(DEVICE)
        with_kernels(monkeypatch, False)
        expected = patterns(grids, cut)
        with_kernels(monkeypatch, True)
        torch.testing.assert_close(patterns(grids, cut), expected, rtol=0, atol=0)


def drawn(views: int, cells: int, dim: int, bins: int) -> tuple[Tensor, Tensor, Tensor]:
    numbers = torch.randint(-bins, bins, (views, cells), dtype=torch.int32, device=DEVICE)
    weights = torch.randn(bins, 1, device=DEVICE, requires_grad=True)
    return numbers, weights, torch.randn(bins, dim, device=DEVICE)


@pytest.mark.parametrize(("views", "cells", "dim"), [(1, 40, 5), (9, 33, 192), (10, 2, 64)])
def test_sums_and_gradients_are_the_same(monkeypatch: pytest.MonkeyPatch, views: int, cells: int, dim: int) -> None:
    numbers, weights, directions = drawn(views, cells, dim, 11)
    grad = torch.randn(cells, dim, device=DEVICE)
    results = []
    for chosen in (False, True):
        with_kernels(monkeypatch, chosen)
        sums = bags.bag_of_patterns(numbers, weights, directions, 0.0)
        results.append((sums, *torch.autograd.grad(sums, weights, grad)))
    for expected, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_dropout_leaves_out_its_share_and_the_way_back_leaves_out_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with_kernels(monkeypatch, True)
    num_cells, share = 2000, 0.3
    numbers = torch.zeros(1, num_cells, dtype=torch.int32, device=DEVICE)
    weights = torch.ones(1, 1, device=DEVICE, requires_grad=True)
    directions = torch.ones(1, 1, device=DEVICE)

    sums = bags.bag_of_patterns(numbers, weights, directions, share)
    (grad,) = torch.autograd.grad(sums.square().sum() / 2, weights)

    assert sums.detach().unique().tolist() == pytest.approx([0.0, 1 / (1 - share)])
    assert float((sums.detach() == 0).float().mean()) == pytest.approx(share, abs=0.05)
    # With the same mask m the gradient is Σ m · m, with another it would be near the square of the mean.
    assert float(grad) == pytest.approx(float(sums.detach().square().sum()), rel=1e-4)
