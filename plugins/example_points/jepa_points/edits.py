"""Small edits of point sets: each turned a little about its middle, or moved a little, as a whole.

A body stays the body it was, so that no candidate among near copies stands out as the only regular one; and a turn or a
move is undone by its opposite, which is as likely. Draws come from torch's global generator.

Shapes: S sets of N points, sequences of T + 1 sets.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.observations import Observations
from jepa_points.point_sets import middle
from jepa_points.rotations import about_axis, turned

_ANGLES = (math.radians(10), math.radians(40))
_MOVES = (0.1, 0.4)
"""Of the sequence's size."""

_LEAST_SHARE = 1e-3
"""Sizes below this share of the largest coordinate are lost to rounding."""


def size_of(sequences: Observations) -> Tensor:
    """(S,): root mean square distance of the real points of sequences (S, T+1, N, 3) from their set's middle.

    At least a share of the largest coordinate, and 1 where all points lie at the origin.
    """
    points, mask = sequences["points"], sequences["mask"]
    size = _spread(points, mask, dims=(1, 2))
    least = _LEAST_SHARE * torch.where(mask.unsqueeze(-1), points, 0.0).abs().amax((1, 2, 3))
    size = torch.maximum(size, least)
    return torch.where(size > 0, size, 1.0)


def edited(sets: Observations, size: Tensor) -> Observations:
    """Sets (S, N, …) of sequences of that size (S,) to as many, none of them the same.

    What has no extent is moved; a set without points gets one, at the size from the origin.
    """
    points, mask = sets["points"], sets["mask"]
    centre = middle(points, mask)
    # A set of no extent, or one that is small beside where it lies, would stay the same in every turn.
    has_extent = _spread(points, mask, dims=(1,)) >= _LEAST_SHARE * centre.abs().amax(-1).clamp(min=1e-30)
    is_turned = (torch.rand(len(points), device=points.device) < 0.5) & has_extent & (mask.sum(1) > 1)
    angle = _between(*_ANGLES, points)
    turn = turned(points - centre[:, None], about_axis(_directions(points), angle)) + centre[:, None]
    move = (_between(*_MOVES, points) * size).unsqueeze(1) * _directions(points)
    changed = torch.where(is_turned[:, None, None], turn, points + move[:, None])
    is_empty = ~mask.any(1)
    mask = mask.clone()
    mask[:, 0] |= is_empty
    changed[:, 0] = torch.where(is_empty[:, None], move, changed[:, 0])
    return Observations({"points": torch.where(mask.unsqueeze(-1), changed, 0.0), "mask": mask})


def _spread(points: Tensor, mask: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Root mean square distance from each set's middle, the mean taken over `dims` of the mask."""
    squared = (points - middle(points, mask).unsqueeze(-2)).square().sum(-1)
    mean = torch.where(mask, squared, 0.0).sum(dims) / mask.sum(dims).clamp(min=1)
    return mean.sqrt()


def _between(low: float, high: float, points: Tensor) -> Tensor:
    """(S,): uniform."""
    return low + (high - low) * torch.rand(len(points), device=points.device)


def _directions(points: Tensor) -> Tensor:
    """(S, 3): uniform, of unit length."""
    return F.normalize(torch.randn(len(points), 3, device=points.device), dim=-1)
