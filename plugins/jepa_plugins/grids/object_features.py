"""Objects of grids and their 23 features, for many grids at once, on the device.

An object is a 4-connected component of one colour; background 0 and the outside of the grid are no objects. Each
feature is divided so that it lies within 0–1, except where said:

==== ================ =====================================================================
0    area             cells, divided by the grid's area
1    perimeter        sides of cells that border another component or the edge, divided by the grid's area (up to 4)
2    height           of the bounding box, divided by the grid's height
3    width            of the bounding box, divided by the grid's width
4    aspect ratio     width / height of the bounding box in cells (not bounded)
5    colour count     colours in the object: always 1
6    dominant colour  the object's colour, divided by 9
7    centroid y       mean row index, divided by the grid's height
8    centroid x       mean column index, divided by the grid's width
9    min y            first row index of the bounding box, divided by the grid's height
10   min x            first column index, divided by the grid's width
11   max y            last row index (inclusive), divided by the grid's height
12   max x            last column index (inclusive), divided by the grid's width
13 … colour bins      ten: the share of the object's cells that have colour 0, 1, …, 9
==== ================ =====================================================================

On CUDA, where Triton is installed, one kernel does all of it: `jepa_plugins.grids.object_kernels`. Elsewhere, and for
grids that a program cannot hold, it is made of torch's own operations.

Knows nothing of embeddings. Shapes: M grids of H × W cells, N objects of a grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.connected_components import connected_components
from jepa_plugins.triton_use import has_kernels, operator

NUM_FEATURES = 23

_NUM_BINS = 10
_BACKGROUND = 0
_MOST_CELLS = 4096
"""Cells of a grid, padded, that a program of the kernel holds in registers."""


@dataclass(frozen=True)
class Objects:
    """The largest objects of each grid, largest first, ties in scan order."""

    features: Tensor
    """(M, N, 23) float32; zeros where masked."""
    boxes: Tensor
    """(M, N, 4) int64: min y, min x, max y, max x in cells, inclusive; zeros where masked."""
    mask: Tensor
    """(M, N) bool: True where there is an object."""

    def adjacency(self) -> Tensor:
        """(M, N, N) bool: bounding boxes overlap or touch, at a side or a corner; False where masked."""
        low, high = self.boxes[..., :2], self.boxes[..., 2:]
        reaches = (low.unsqueeze(-2) <= high.unsqueeze(-3) + 1).all(-1)
        return reaches & reaches.transpose(-1, -2) & self.mask.unsqueeze(-1) & self.mask.unsqueeze(-2)


@torch.no_grad()
def find_objects(grids: Tensor, sizes: Tensor, *, max_objects: int) -> Objects:
    """Grids (M, H, W) uint8 and sizes (M, 2) int64 to the N = `max_objects` largest objects of each."""
    if has_kernels(grids) and is_small(grids):
        return objects_by_kernel(grids, sizes, max_objects=max_objects)
    return objects_by_torch(grids, sizes, max_objects=max_objects)


def is_small(grids: Tensor) -> bool:
    """Whether a program of the kernel holds one of grids (M, H, W)."""
    block_height, block_width = _block(grids)
    return block_height * block_width <= _MOST_CELLS


def objects_by_kernel(grids: Tensor, sizes: Tensor, *, max_objects: int) -> Objects:
    """As `find_objects`, for grids that are small; needs Triton, and CUDA or Triton's interpreter."""
    features, boxes, mask = _find_objects(grids, sizes, max_objects)
    return Objects(features=features, boxes=boxes, mask=mask)


@operator("find_objects")
def _find_objects(grids: Tensor, sizes: Tensor, max_objects: int) -> tuple[Tensor, Tensor, Tensor]:
    from jepa_plugins.grids.object_kernels import find

    num_grids, height, width = grids.shape
    features, boxes, mask = _empty_objects(grids, max_objects)
    block_height, block_width = _block(grids)
    find[(num_grids,)](
        grids.contiguous(), sizes.contiguous(), features, boxes, mask.view(torch.uint8), height, width,
        NUM_OBJECTS=max_objects, BLOCK_H=block_height, BLOCK_W=block_width,
        num_warps=max(1, min(8, block_height * block_width // 256)),
    )  # fmt: skip
    return features, boxes, mask


@_find_objects.register_fake
def _(grids: Tensor, sizes: Tensor, max_objects: int) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ARG001
    return _empty_objects(grids, max_objects)


def _empty_objects(grids: Tensor, max_objects: int) -> tuple[Tensor, Tensor, Tensor]:
    shape = len(grids), max_objects
    features = torch.empty(*shape, NUM_FEATURES, device=grids.device)
    boxes = torch.empty(*shape, 4, dtype=torch.int64, device=grids.device)
    return features, boxes, torch.empty(shape, dtype=torch.bool, device=grids.device)


def _block(grids: Tensor) -> tuple[int, int]:
    """Height and width as powers of two, of at least 8, so that there is a cell for every thread of a warp."""
    height, width = (max(8, 1 << (side - 1).bit_length()) for side in grids.shape[1:])
    return height, width


def objects_by_torch(grids: Tensor, sizes: Tensor, *, max_objects: int) -> Objects:
    """As `find_objects`, on every device and for grids of every size, in about 150 operations."""
    labels = connected_components(grids).flatten().long()
    is_object = (grids != _BACKGROUND) & (grids < OUTSIDE)
    areas = torch.zeros_like(labels).scatter_add(0, labels, is_object.flatten().long())
    roots, mask = _largest(areas.view(grids.shape[0], -1), max_objects)

    components = _Components(labels, roots)
    y, x = _coordinates(grids)
    boxes = torch.stack([components.least(y), components.least(x), components.greatest(y), components.greatest(x)], -1)
    features = _features(
        areas=areas.gather(0, roots.flatten()).view_as(roots),
        perimeters=components.total(_open_sides(grids)),
        boxes=boxes,
        centroid_sums=torch.stack([components.total(y), components.total(x)], -1),
        colours=grids.flatten().gather(0, roots.flatten()).view_as(roots),
        sizes=sizes.clamp(min=1),
    )
    real = mask.unsqueeze(-1)
    return Objects(features=torch.where(real, features, 0.0), boxes=torch.where(real, boxes, 0), mask=mask)


class _Components:
    """Reductions over the cells of the components with given roots (M, N): values (M, H, W) to (M, N)."""

    def __init__(self, labels: Tensor, roots: Tensor) -> None:
        self.labels = labels
        self.roots = roots

    def total(self, values: Tensor) -> Tensor:
        sums = torch.zeros_like(self.labels).scatter_add(0, self.labels, values.flatten())
        return sums.gather(0, self.roots.flatten()).view_as(self.roots)

    def least(self, values: Tensor) -> Tensor:
        return self._reduce(values.flatten(), "amin")

    def greatest(self, values: Tensor) -> Tensor:
        return self._reduce(values.flatten(), "amax")

    def _reduce(self, values: Tensor, reduction: str) -> Tensor:
        reduced = values.scatter_reduce(0, self.labels, values, reduction)
        return reduced.gather(0, self.roots.flatten()).view_as(self.roots)


def _largest(areas: Tensor, max_objects: int) -> tuple[Tensor, Tensor]:
    """Areas at roots (M, H·W), zero elsewhere, to the roots' flat indices over the batch (M, N) and which are real."""
    num_grids, num_cells = areas.shape
    scan_order = torch.arange(num_cells, device=areas.device)
    area_then_first = areas * num_cells + (num_cells - 1 - scan_order)
    kept = min(max_objects, num_cells)
    places = F.pad(area_then_first.topk(kept, dim=1).indices, (0, max_objects - kept))
    mask = F.pad(areas.gather(1, places[:, :kept]) > 0, (0, max_objects - kept))
    starts = torch.arange(num_grids, device=areas.device).unsqueeze(1) * num_cells
    return places + starts, mask


def _coordinates(grids: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column index of each cell, (M, H, W) int64."""
    y = torch.arange(grids.shape[1], device=grids.device).view(1, -1, 1)
    x = torch.arange(grids.shape[2], device=grids.device).view(1, 1, -1)
    return y.expand(grids.shape), x.expand(grids.shape)


def _open_sides(grids: Tensor) -> Tensor:
    """For each cell, 4 less its neighbours in the same component, (M, H, W) int64."""
    framed = F.pad(grids.to(torch.int8), (1, 1, 1, 1), value=-1)
    inner = framed[:, 1:-1, 1:-1]
    neighbours = (framed[:, :-2, 1:-1], framed[:, 2:, 1:-1], framed[:, 1:-1, :-2], framed[:, 1:-1, 2:])
    return torch.stack([inner != neighbour for neighbour in neighbours]).sum(0)


def _features(
    *, areas: Tensor, perimeters: Tensor, boxes: Tensor, centroid_sums: Tensor, colours: Tensor, sizes: Tensor
) -> Tensor:
    """(M, N, 23), from counts in cells."""
    sizes_M12 = sizes.unsqueeze(1).float()
    grid_area = sizes_M12.prod(-1)
    extents = (boxes[..., 2:] - boxes[..., :2] + 1).float()
    colour = colours.unsqueeze(-1)
    bins = colour == torch.arange(_NUM_BINS, device=colours.device)
    columns = [
        (areas / grid_area).unsqueeze(-1),
        (perimeters / grid_area).unsqueeze(-1),
        extents / sizes_M12,
        extents[..., 1:] / extents[..., :1],
        torch.ones_like(colour, dtype=torch.float32),
        colour / 9,
        centroid_sums / areas.clamp(min=1).unsqueeze(-1) / sizes_M12,
        boxes[..., :2] / sizes_M12,
        boxes[..., 2:] / sizes_M12,
        bins.float(),
    ]
    return torch.cat(columns, -1)
