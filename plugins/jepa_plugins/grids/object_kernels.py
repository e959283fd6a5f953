"""The kernel of `jepa_plugins.grids.object_features`, which says what an object and its features are. Needs Triton.

A program holds one grid in registers, padded to BLOCK_H × BLOCK_W = CELLS cells, both powers of two. Cells are ranked
against scan order, CELLS − 1 for the first, so that an object's name is its greatest rank, that of its first cell:

1. *Components.* Each cell takes the greatest rank of its run of equal cells along the row, then along the column, then
   the rank that the cell of that rank has taken, until nothing changes. Ranks only grow, so it ends; and it cannot end
   while two equal neighbours differ, for they are in one run. Without the last step a path would take about as many
   rounds as it has corners.
2. *Areas,* an object at a time; a cell without an equal neighbour has area 1 at once.
3. *The largest,* one at a time: the greatest area · CELLS + rank, so that ties come in scan order.

Nothing is added up across programs, counts are integers, and quotients are rounded as IEEE 754 says: equal grids give
equal bits.
"""

# Triton's arguments have the types of the call, and are given by place.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
# ruff: noqa: PLR0917

from __future__ import annotations

import triton
import triton.language as tl

_UNCOUNTED = tl.constexpr(1 << 30)
"""Added to the rank of an object whose area is not known: greater than any area · CELLS + rank."""


@triton.jit
def _greater(left, right):
    return tl.maximum(left, right)


@triton.jit
def _greatest_of_run(ranks, runs, AXIS: tl.constexpr, SIDE: tl.constexpr, CELLS: tl.constexpr):
    """The greatest rank in each cell's run. Runs are numbered 1, 2, … along the axis.

    The running maximum of run · CELLS + rank forgets earlier runs by itself.
    """
    so_far = tl.associative_scan(runs * CELLS + ranks, AXIS, _greater)
    to_come = tl.associative_scan((SIDE - runs) * CELLS + ranks, AXIS, _greater, reverse=True)
    return tl.maximum(so_far & (CELLS - 1), to_come & (CELLS - 1))


@triton.jit
def _components(ranks, same_left, same_above, BLOCK_H: tl.constexpr, BLOCK_W: tl.constexpr):
    """For each cell, the rank of the first cell of its component."""
    CELLS: tl.constexpr = BLOCK_H * BLOCK_W
    runs_of_row = tl.cumsum(1 - same_left.to(tl.int32), 1)
    runs_of_column = tl.cumsum(1 - same_above.to(tl.int32), 0)
    num_changed = 1
    while num_changed > 0:
        before = ranks
        ranks = _greatest_of_run(ranks, runs_of_row, 1, BLOCK_W, CELLS)
        ranks = _greatest_of_run(ranks, runs_of_column, 0, BLOCK_H, CELLS)
        flat = tl.reshape(ranks, [CELLS])
        ranks = tl.reshape(tl.gather(flat, CELLS - 1 - flat, 0), [BLOCK_H, BLOCK_W])
        num_changed = tl.sum((ranks != before).to(tl.int32))
    return ranks


@triton.jit
def _areas_and_ranks(components, ranks, is_object, is_alone, CELLS: tl.constexpr):
    """area · CELLS + rank at the first cell of each object, zero elsewhere."""
    area_and_rank = ranks + tl.where(is_alone, CELLS, _UNCOUNTED)
    area_and_rank = tl.where(is_object & (components == ranks), area_and_rank, 0)
    greatest = tl.max(area_and_rank)
    while greatest >= _UNCOUNTED:
        rank = greatest - _UNCOUNTED
        area = tl.sum((components == rank).to(tl.int32))
        area_and_rank = tl.where(area_and_rank == greatest, area * CELLS + rank, area_and_rank)
        greatest = tl.max(area_and_rank)
    return area_and_rank


@triton.jit
def _store_features(pointer, colour, area, perimeter, top, left, bottom, right, sum_y, sum_x, height, width):
    """The 23 features, each as counts / a divisor of the object / a divisor of the grid."""
    column = tl.arange(0, 32)
    counts = tl.where(column == 0, area, tl.where(column == 1, perimeter, 0))
    counts = tl.where(column == 2, bottom - top + 1, counts)
    counts = tl.where((column == 3) | (column == 4), right - left + 1, counts)
    counts = tl.where((column == 5) | (column == 13 + colour), 1, counts)
    counts = tl.where(column == 6, colour, counts)
    counts = tl.where(column == 7, sum_y, tl.where(column == 8, sum_x, counts))
    counts = tl.where(column == 9, top, tl.where(column == 10, left, counts))
    counts = tl.where(column == 11, bottom, tl.where(column == 12, right, counts))
    of_object = tl.where((column == 7) | (column == 8), area, 1)
    of_object = tl.where(column == 4, bottom - top + 1, tl.where(column == 6, 9, of_object))
    of_grid = tl.where(column <= 1, height * width, 1)
    of_grid = tl.where((column == 2) | (column == 7) | (column == 9) | (column == 11), height, of_grid)
    of_grid = tl.where((column == 3) | (column == 8) | (column == 10) | (column == 12), width, of_grid)
    shares = tl.div_rn(tl.div_rn(counts.to(tl.float32), of_object.to(tl.float32)), of_grid.to(tl.float32))
    tl.store(pointer + column, shares, mask=column < 23)


@triton.jit
def find(
    grids, sizes, features, boxes, mask, height, width,
    NUM_OBJECTS: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    """The `NUM_OBJECTS` largest objects of one grid, into features (M, N, 23), boxes (M, N, 4) and mask (M, N)."""
    CELLS: tl.constexpr = BLOCK_H * BLOCK_W
    grid = tl.program_id(0).to(tl.int64)
    y, x = tl.arange(0, BLOCK_H)[:, None], tl.arange(0, BLOCK_W)[None, :]
    is_there = (y < height) & (x < width)
    cells = grids + grid * height * width + y * width + x
    # What lies beyond the canvas is read as background, which no object is equal to.
    colours = tl.load(cells, mask=is_there, other=0)
    is_object = (colours > 0) & (colours < 10)
    same_left = is_object & (tl.load(cells - 1, mask=is_there & (x > 0), other=0) == colours)
    same_right = is_object & (tl.load(cells + 1, mask=is_there & (x < width - 1), other=0) == colours)
    same_above = is_object & (tl.load(cells - width, mask=is_there & (y > 0), other=0) == colours)
    same_below = is_object & (tl.load(cells + width, mask=is_there & (y < height - 1), other=0) == colours)
    num_same = same_left.to(tl.int32) + same_right.to(tl.int32) + same_above.to(tl.int32) + same_below.to(tl.int32)

    ranks = CELLS - 1 - (y * BLOCK_W + x)
    components = _components(ranks, same_left, same_above, BLOCK_H, BLOCK_W)
    area_and_rank = _areas_and_ranks(components, ranks, is_object, num_same == 0, CELLS)
    grid_height = tl.maximum(tl.load(sizes + grid * 2), 1).to(tl.int32)
    grid_width = tl.maximum(tl.load(sizes + grid * 2 + 1), 1).to(tl.int32)

    side = tl.arange(0, 4)
    for slot in range(NUM_OBJECTS):
        row = grid * NUM_OBJECTS + slot
        largest = tl.max(area_and_rank)
        tl.store(mask + row, (largest > 0).to(tl.uint8))
        if largest > 0:
            rank = largest % CELLS
            first = CELLS - 1 - rank
            top = first // BLOCK_W
            colour = tl.load(grids + grid * height * width + top * width + first % BLOCK_W).to(tl.int32)
            is_inside = components == rank
            left, right = tl.min(tl.where(is_inside, x, BLOCK_W)), tl.max(tl.where(is_inside, x, 0))
            bottom = tl.max(tl.where(is_inside, y, 0))
            perimeter = tl.sum(tl.where(is_inside, 4 - num_same, 0))
            sum_y, sum_x = tl.sum(tl.where(is_inside, y, 0)), tl.sum(tl.where(is_inside, x, 0))
            _store_features(features + row * 23, colour, largest // CELLS, perimeter,
                            top, left, bottom, right, sum_y, sum_x, grid_height, grid_width)  # fmt: skip
            box = tl.where(side == 0, top, tl.where(side == 1, left, tl.where(side == 2, bottom, right)))
            tl.store(boxes + row * 4 + side, box.to(tl.int64))
            area_and_rank = tl.where(area_and_rank == largest, 0, area_and_rank)
        else:
            column = tl.arange(0, 32)
            tl.store(features + row * 23 + column, tl.zeros([32], tl.float32), mask=column < 23)
            tl.store(boxes + row * 4 + side, tl.zeros([4], tl.int64))
