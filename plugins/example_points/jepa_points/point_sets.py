"""Sets of points: where their middle is, how far two of them are from each other, and a key that no order changes.

Shapes: "…" leading dimensions, N points of a set, each place real or not; V lists of A and B sets.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.observations import Observations

FAR = 1e30
"""Squared distance of a point from a set that has none."""

_DISTANCES_AT_ONCE = 1 << 18
"""Held at once: 2 MB, which stay in a processor's cache. Ten times as many take five times as long for each."""


def middle(points: Tensor, mask: Tensor) -> Tensor:
    """Points (…, N, 3) and mask (…, N) to (…, 3): the mean of the real ones, the origin where there is none."""
    total = torch.where(mask.unsqueeze(-1), points, 0.0).sum(-2)
    return total / mask.sum(-1, keepdim=True).clamp(min=1)


def chamfer(first: Observations, second: Observations) -> Tensor:
    """Lists (V, A, …) and (V, B, …) to (V, A, B) float32: squared Chamfer distances (Fan et al., arXiv 1612.00603).

    The mean squared distance of a set's points from the nearest point of the other, added up over both directions.
    """
    (_, num_first, num_points), (_, num_second, num_others) = first["mask"].shape, second["mask"].shape
    at_once = max(1, _DISTANCES_AT_ONCE // (num_points * num_others))
    columns = min(num_second, at_once)
    rows = min(num_first, max(1, at_once // columns))
    lists = max(1, at_once // (columns * rows))
    pairs = zip(first.split(lists), second.split(lists), strict=True)
    return torch.cat([_in_blocks(*pair, rows, columns) for pair in pairs])


def _in_blocks(first: Observations, second: Observations, rows: int, columns: int) -> Tensor:
    """(V, A, B), so many rows and columns at a time."""
    tops, lefts = (range(0, sets["mask"].shape[1], size) for sets, size in ((first, rows), (second, columns)))
    blocks = [
        torch.cat([_chamfer(first[:, top : top + rows], second[:, left : left + columns]) for left in lefts], 2)
        for top in tops
    ]
    return torch.cat(blocks, 1)


def _chamfer(first: Observations, second: Observations) -> Tensor:
    """(V, A, B): (−2 x, |x|², 1) · (y, 1, |y|²) = |x − y|², infinite where one is not real.

    In float64: large terms cancel, and autocast and TF32 leave it alone.
    """
    (x, x_squared), (y, y_squared) = _with_lengths(first), _with_lengths(second)
    left = torch.cat([-2 * x, x_squared, torch.ones_like(x_squared)], -1).flatten(1, 2)
    right = torch.cat([y, torch.ones_like(y_squared), y_squared], -1).flatten(1, 2)
    squared_VANBN = (left @ right.mT).unflatten(2, second["mask"].shape[1:]).unflatten(1, first["mask"].shape[1:])
    there_VANB, back_VABN = (squared_VANBN.amin(dim).clamp(0, FAR) for dim in (4, 2))
    there = _mean(there_VANB, first["mask"].unsqueeze(3), 2)
    return (there + _mean(back_VABN, second["mask"].unsqueeze(1), 3)).float()


def _with_lengths(sets: Observations) -> tuple[Tensor, Tensor]:
    """(…, N, 3) and squared lengths (…, N, 1), infinite where no point is."""
    mask = sets["mask"].unsqueeze(-1)
    points = torch.where(mask, sets["points"], 0.0).double()
    return points, points.square().sum(-1, keepdim=True).masked_fill(~mask, torch.inf)


def _mean(values: Tensor, mask: Tensor, dim: int) -> Tensor:
    """Over the real ones; 0 where there is none."""
    return torch.where(mask, values, 0.0).sum(dim) / mask.sum(dim).clamp(min=1)


def keys(points: Tensor, mask: Tensor) -> Tensor:
    """Points (…, N, 3) and mask (…, N) to (…) int64: a sum over the real points of a hash of each, modulo 2^64.

    A sum of whole numbers is the same in every order. −0.0 equals 0.0; a point that is there twice counts twice.
    """
    bits = (points + 0.0).view(torch.int32).long()
    hashed = torch.zeros_like(mask, dtype=torch.int64)
    for axis in range(3):
        hashed = _mixed(hashed + bits[..., axis] + _GOLDEN)
    return torch.where(mask, hashed, 0).sum(-1)


_GOLDEN = 0x9E3779B97F4A7C15 - 2**64


def _mixed(values: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): every bit changes half of the others."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64)):
        values = (values ^ _shifted(values, shift)) * factor
    return values ^ _shifted(values, 31)


def _shifted(values: Tensor, by: int) -> Tensor:
    """Zeros come in from the left: with the sign, x and its complement would be mixed alike."""
    return (values >> by) & ((1 << (64 - by)) - 1)
