"""Points on the surfaces and curves that bodies are drawn from, about one unit from their middle.

Shapes: B bodies of N points. Draws come from the generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

_CUBE = 0.75
_TORUS_RING, _TORUS_TUBE = 0.85, 0.35
_HELIX_RADIUS, _HELIX_TURNS = 0.7, 2.5


def _sphere(num: int, points: int, generator: Generator) -> Tensor:
    return F.normalize(torch.randn(num, points, 3, generator=generator), dim=-1)


def _cube(num: int, points: int, generator: Generator) -> Tensor:
    """On the faces: one of three coordinates is ±1."""
    drawn = 2 * torch.rand(num, points, 3, generator=generator) - 1
    axis = torch.randint(3, (num, points, 1), generator=generator)
    is_on_face = torch.arange(3) == axis
    return _CUBE * torch.where(is_on_face, drawn.sign(), drawn)


def _torus(num: int, points: int, generator: Generator) -> Tensor:
    ring, tube = (2 * math.pi * torch.rand(2, num, points, generator=generator)).unbind()
    radius = _TORUS_RING + _TORUS_TUBE * tube.cos()
    return torch.stack([radius * ring.cos(), radius * ring.sin(), _TORUS_TUBE * tube.sin()], -1)


def _helix(num: int, points: int, generator: Generator) -> Tensor:
    along = 2 * torch.rand(num, points, generator=generator) - 1
    angle = math.pi * _HELIX_TURNS * along
    return torch.stack([_HELIX_RADIUS * angle.cos(), _HELIX_RADIUS * angle.sin(), along], -1)


SHAPES: dict[str, Callable[[int, int, Generator], Tensor]] = {
    "sphere": _sphere,
    "cube": _cube,
    "torus": _torus,
    "helix": _helix,
}
"""The label `shape` counts them in this order. Each gives (B, N, 3)."""
