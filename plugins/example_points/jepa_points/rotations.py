"""Rotations in space: drawn uniformly, about an axis by an angle, and applied.

Shapes: "…" leading dimensions; a rotation is (…, 3, 3), and turns a point x to R x.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def rotations_of(quaternions: Tensor) -> Tensor:
    """Quaternions (…, 4) of any length but zero to rotations (…, 3, 3): uniform ones, of standard normal numbers."""
    w, x, y, z = F.normalize(quaternions, dim=-1).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def about_axis(axis: Tensor, angle: Tensor) -> Tensor:
    """Axes (…, 3), of any length but zero, and angles (…) in radians to rotations (…, 3, 3)."""
    half = angle.unsqueeze(-1) / 2
    return rotations_of(torch.cat([half.cos(), half.sin() * F.normalize(axis, dim=-1)], -1))


def turned(points: Tensor, rotation: Tensor) -> Tensor:
    """Points (…, N, 3) by rotations (…, 3, 3). Sums, and no product of matrices, which TF32 would round."""
    return (points.unsqueeze(-2) * rotation.unsqueeze(-3)).sum(-1)
