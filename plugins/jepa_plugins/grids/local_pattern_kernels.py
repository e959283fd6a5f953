"""Triton kernels of `jepa_plugins.grids.local_patterns` and `bag_of_patterns`, which have the mathematics.

C = M·N cells, K facts padded to a power of two, E dimension of a direction. A program is a block of cells.
"""

# Triton's arguments have the types of the call, and are given by place.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
# ruff: noqa: PLR0917

from __future__ import annotations

import triton
import triton.language as tl

PRIME = tl.constexpr(2**31 - 1)


@triton.jit
def _colours(grids, grid, y, x, shift_y, shift_x, is_cell, height, width, OUTSIDE: tl.constexpr):
    """(BLOCK, K): the colour at a shift from each cell."""
    row, column = y[:, None] + shift_y[None, :], x[:, None] + shift_x[None, :]
    there = is_cell[:, None] & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return tl.load(grids + grid[:, None] * (height * width) + row * width + column, mask=there, other=OUTSIDE)


@triton.jit
def _times(facts, digits, fact, place, K: tl.constexpr):
    """(BLOCK, 16) int64: facts times one digit of the multipliers, at that digit's place."""
    orientation = tl.arange(0, 16)[None, :]
    return tl.dot(facts, tl.load(digits + (place * K + fact[:, None]) * 16 + orientation)).to(tl.int64) << (7 * place)


@triton.jit
def _cut(colours, view, has_levels, OUTSIDE: tl.constexpr):
    """Two colours: those above the view's number, or those that equal it; the outside stays."""
    chosen = tl.where(has_levels != 0, colours > view, colours == view)
    return tl.where(colours == OUTSIDE, OUTSIDE, chosen.to(tl.uint8))


# Numbers that no address is made of need no kernel of their own where 16 divides them.
@triton.jit(do_not_specialize=["num_views", "num_cells", "height", "width", "bins", "first_pair", "has_levels"])
def number_patterns(
    grids, shifts, digits, numbers, num_views, num_cells, height, width, bins, first_pair, has_levels,
    IS_CUT: tl.constexpr, OUTSIDE: tl.constexpr, IS_BORDERS: tl.constexpr, BLOCK: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """Numbers (V, C) int32; `shifts` are (4, K) int32: y and x of a fact's one cell, y and x of its other."""
    cell, fact = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, K)
    is_cell, size = cell < num_cells, height * width
    grid, y, x = (cell // size).to(tl.int64), cell % size // width, cell % width
    first = _colours(grids, grid, y, x, tl.load(shifts + fact), tl.load(shifts + K + fact),
                     is_cell, height, width, OUTSIDE)  # fmt: skip
    second = _colours(grids, grid, y, x, tl.load(shifts + 2 * K + fact), tl.load(shifts + 3 * K + fact),
                      is_cell, height, width, OUTSIDE)  # fmt: skip
    for view in range(num_views):
        one, other = first, second
        if IS_CUT:
            one, other = _cut(first, view, has_levels, OUTSIDE), _cut(second, view, has_levels, OUTSIDE)
        if IS_BORDERS:
            borders = ((one != other) & (one != OUTSIDE) & (other != OUTSIDE)).to(tl.int8)
            is_pair = fact[None, :] >= first_pair
            facts = tl.where(is_pair, borders, (one == OUTSIDE).to(tl.int8))
            is_told = tl.max(tl.where(is_pair, borders, 0).to(tl.int32), 1) > 0
        else:
            facts = (one + 1).to(tl.int8)
            is_told = is_cell
        # Multipliers have four digits of seven bits: products of bytes are exact on tensor cores.
        hashes = _times(facts, digits, fact, 0, K) + _times(facts, digits, fact, 1, K)
        hashes += _times(facts, digits, fact, 2, K) + _times(facts, digits, fact, 3, K)
        # 2³¹ = 1 modulo the prime 2³¹ − 1.
        hashes = (hashes & PRIME) + (hashes >> 31)
        hashes = tl.where(hashes >= PRIME, hashes - PRIME, hashes)
        number = (tl.min(hashes, 1) % bins).to(tl.int32)
        tl.store(numbers + view * num_cells + cell, tl.where(is_told, number, -1 - number), mask=is_cell)


@triton.jit
def _kept(seed, p, pattern):
    """1 / (1 − p) where dropout keeps a pattern, else 0."""
    return tl.where(tl.rand(tl.load(seed), pattern) >= p, 1 / (1 - p), 0.0)


@triton.jit(do_not_specialize=["num_views", "num_cells"])
def add_patterns(
    numbers, weights, directions, sums, seed, p, num_views, num_cells, dim,
    HAS_DROPOUT: tl.constexpr, BLOCK: tl.constexpr, BLOCK_E: tl.constexpr,
):  # fmt: skip
    """Sums (C, E) over views of a pattern's weight times its direction."""
    cell, column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, BLOCK_E)
    total = tl.zeros((BLOCK, BLOCK_E), tl.float32)
    for view in range(num_views):
        pattern = view * num_cells + cell
        number = tl.load(numbers + pattern, mask=cell < num_cells, other=-1)
        weight = tl.load(weights + number, mask=number >= 0, other=0.0)
        if HAS_DROPOUT:
            weight *= _kept(seed, p, pattern)
        there = (number >= 0)[:, None] & (column < dim)[None, :]
        total += weight[:, None] * tl.load(directions + number[:, None] * dim + column[None, :], mask=there, other=0.0)
    at = sums + cell.to(tl.int64)[:, None] * dim + column[None, :]
    tl.store(at, total, mask=(cell < num_cells)[:, None] & (column < dim)[None, :])


@triton.jit(do_not_specialize=["num_views", "num_cells"])
def add_patterns_backward(
    numbers, directions, grad, grad_patterns, seed, p, num_views, num_cells, dim,
    HAS_DROPOUT: tl.constexpr, BLOCK: tl.constexpr, BLOCK_E: tl.constexpr,
):  # fmt: skip
    """Gradients (V, C) of each pattern's weight; zero where nothing is told."""
    cell, column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, BLOCK_E)
    is_cell, is_column = cell < num_cells, (column < dim)[None, :]
    at = grad + cell.to(tl.int64)[:, None] * dim + column[None, :]
    given = tl.load(at, mask=is_cell[:, None] & is_column, other=0.0)
    for view in range(num_views):
        pattern = view * num_cells + cell
        number = tl.load(numbers + pattern, mask=is_cell, other=-1)
        there = (number >= 0)[:, None] & is_column
        along = tl.sum(given * tl.load(directions + number[:, None] * dim + column[None, :], mask=there, other=0.0), 1)
        if HAS_DROPOUT:
            along *= _kept(seed, p, pattern)
        tl.store(grad_patterns + pattern, along, mask=is_cell)
