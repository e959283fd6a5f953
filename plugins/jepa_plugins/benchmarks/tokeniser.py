"""Finding the objects of grids and their features, beside the same in torch's operations.

Shapes: M grids of H × W cells, N objects of a grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import BenchmarkCase
from jepa_core.facts import BenchmarkFacts
from jepa_core.metrics import Metric
from jepa_plugins.grids.object_features import NUM_FEATURES, find_objects, objects_by_torch

ON_CUDA = ((65_536, 10, 4), (65_536, 30, 4))
ON_CPU = ((4_096, 10, 4),)
QUICK = ((64, 10, 4),)
"""Grids, their side, values drawn for a cell, background among them."""
NUM_OBJECTS = 16

Tensors = tuple[Tensor, ...]


@attrs.frozen(kw_only=True)
class TokeniserBenchmark:
    """Objects of random grids, each with its 23 features."""

    kind: ClassVar[str] = "tokeniser"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: BenchmarkFacts) -> Iterator[BenchmarkCase]:
        """A case of each size."""
        sizes = QUICK if facts.is_quick else ON_CUDA if facts.device.startswith("cuda") else ON_CPU
        return (tokenising(*size, facts.device) for size in sizes)


def tokenising(num_grids: int, side: int, num_colours: int, device: str) -> BenchmarkCase:
    """Grids (M, H, W) uint8 to features (M, N, 23), boxes (M, N, 4) and a mask (M, N). On the CPU both ways are one."""
    grids = torch.randint(num_colours, (num_grids, side, side), dtype=torch.uint8, device=device)
    sizes = torch.full((num_grids, 2), side, device=device)
    per_object = NUM_FEATURES * 4 + 4 * 8 + 1
    return BenchmarkCase(
        what=f"{num_grids:,} grids of {side} × {side}, {num_colours} colours",
        inputs=(grids, sizes),
        ours=_found,
        naive=_found_by_torch,
        num_bytes=float(num_grids * (side * side + NUM_OBJECTS * per_object)),
        floor="cells read, and features, boxes and mask written, once",
        items=num_grids,
        unit="grids",
    )


def _found(grids: Tensor, sizes: Tensor) -> Tensors:
    objects = find_objects(grids, sizes, max_objects=NUM_OBJECTS)
    return objects.features, objects.boxes, objects.mask


def _found_by_torch(grids: Tensor, sizes: Tensor) -> Tensors:
    objects = objects_by_torch(grids, sizes, max_objects=NUM_OBJECTS)
    return objects.features, objects.boxes, objects.mask
