"""The Triton kernels of `jepa_plugins.residual`, which has the mathematics.

Tensors are (rows, dim), contiguous. A program is a block of rows; in the way back it goes through several of them, and
leaves one row of partial sums for the gradients of weight and bias.
"""

# Triton's arguments have the types of the call, and are given by place.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
# ruff: noqa: PLR0917

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _kept(seed, p, row, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """(ROWS, BLOCK): 1 / (1 − p) where dropout keeps, else 0. One draw of Philox gives eight numbers of 16 bits."""
    draw = row[:, None] * (BLOCK // 8) + tl.arange(0, BLOCK // 8)[None, :]
    a, b, c, d = tl.randint4x(tl.load(seed), draw)
    words = tl.reshape(tl.join(tl.join(a, b), tl.join(c, d)), (ROWS, BLOCK // 2))
    halves = tl.reshape(tl.join(words & 0xFFFF, (words >> 16) & 0xFFFF), (ROWS, BLOCK))
    return tl.where(halves.to(tl.float32) >= p * 65536, 1 / (1 - p), 0.0)


# How many rows there are needs no kernel of its own where 16 divides it.
@triton.jit(do_not_specialize=["num_rows"])
def add_norm(
    stream, branch, branch_bias, seed, p, weight, bias, eps, total, normed, means, scales, num_rows, dim,
    HAS_BRANCH: tl.constexpr, HAS_DROPOUT: tl.constexpr, HAS_NORM: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The stream with a branch added, where there is one, and its normal form, where one is asked for."""
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, BLOCK)
    there = (row < num_rows)[:, None] & (column < dim)[None, :]
    at = row.to(tl.int64)[:, None] * dim + column[None, :]
    x = tl.load(stream + at, mask=there, other=0.0).to(tl.float32)
    if HAS_BRANCH:
        added = tl.load(branch + at, mask=there, other=0.0).to(tl.float32)
        added += tl.load(branch_bias + column, mask=column < dim, other=0.0).to(tl.float32)[None, :]
        if HAS_DROPOUT:
            added *= _kept(seed, p, row, ROWS, BLOCK)
        rounded = (x + added).to(total.dtype.element_ty)
        tl.store(total + at, rounded, mask=there)
        x = rounded.to(tl.float32)
    if HAS_NORM:
        mean = tl.sum(x, 1) / dim
        centred = tl.where(there, x - mean[:, None], 0.0)
        scale = 1 / tl.sqrt(tl.sum(centred * centred, 1) / dim + eps)
        w = tl.load(weight + column, mask=column < dim, other=0.0)[None, :]
        b = tl.load(bias + column, mask=column < dim, other=0.0)[None, :]
        tl.store(normed + at, (centred * scale[:, None] * w + b).to(normed.dtype.element_ty), mask=there)
        tl.store(means + row, mean, mask=row < num_rows)
        tl.store(scales + row, scale, mask=row < num_rows)


@triton.jit(do_not_specialize=["num_rows", "num_blocks"])
def add_norm_backward(
    grad_total, grad_normed, total, means, scales, weight, seed, p, grad_stream, grad_branch, partial_weight,
    partial_bias, partial_branch_bias, num_rows, dim, num_blocks,
    HAS_TOTAL: tl.constexpr, HAS_BRANCH: tl.constexpr, HAS_DROPOUT: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of stream and branch, and of weight and biases as far as this program's rows give them."""
    program, column = tl.program_id(0), tl.arange(0, BLOCK)
    w = tl.load(weight + column, mask=column < dim, other=0.0)[None, :]
    of_weight, of_bias = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    of_branch_bias = tl.zeros((BLOCK,), tl.float32)
    for block in range(program, num_blocks, tl.num_programs(0)):
        row = block * ROWS + tl.arange(0, ROWS)
        is_row = row < num_rows
        there = is_row[:, None] & (column < dim)[None, :]
        at = row.to(tl.int64)[:, None] * dim + column[None, :]
        given = tl.load(grad_normed + at, mask=there, other=0.0).to(tl.float32)
        x = tl.load(total + at, mask=there, other=0.0).to(tl.float32)
        mean, scale = tl.load(means + row, mask=is_row, other=0.0), tl.load(scales + row, mask=is_row, other=0.0)
        unit = tl.where(there, (x - mean[:, None]) * scale[:, None], 0.0)
        of_weight += tl.sum(given * unit, 0)
        of_bias += tl.sum(given, 0)
        weighed = given * w
        along, level = tl.sum(weighed * unit, 1) / dim, tl.sum(weighed, 1) / dim
        grad = (weighed - unit * along[:, None] - level[:, None]) * scale[:, None]
        if HAS_TOTAL:
            grad += tl.load(grad_total + at, mask=there, other=0.0).to(tl.float32)
        tl.store(grad_stream + at, grad.to(grad_stream.dtype.element_ty), mask=there)
        if HAS_BRANCH:
            if HAS_DROPOUT:
                grad *= _kept(seed, p, row, ROWS, BLOCK)
            tl.store(grad_branch + at, grad.to(grad_branch.dtype.element_ty), mask=there)
            of_branch_bias += tl.sum(tl.where(there, grad, 0.0), 0)
    own = program * dim + column
    tl.store(partial_weight + own, of_weight, mask=column < dim)
    tl.store(partial_bias + own, of_bias, mask=column < dim)
    tl.store(partial_branch_bias + own, of_branch_bias, mask=column < dim)


@triton.jit(do_not_specialize=["num_rows", "num_blocks"])
def add_backward(
    grad, seed, p, grad_branch, partial_branch_bias, num_rows, dim, num_blocks,
    HAS_DROPOUT: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The gradient of a branch that was added, and of its bias as far as this program's rows give it."""
    program, column = tl.program_id(0), tl.arange(0, BLOCK)
    of_branch_bias = tl.zeros((BLOCK,), tl.float32)
    for block in range(program, num_blocks, tl.num_programs(0)):
        row = block * ROWS + tl.arange(0, ROWS)
        there = (row < num_rows)[:, None] & (column < dim)[None, :]
        at = row.to(tl.int64)[:, None] * dim + column[None, :]
        given = tl.load(grad + at, mask=there, other=0.0).to(tl.float32)
        if HAS_DROPOUT:
            given *= _kept(seed, p, row, ROWS, BLOCK)
        tl.store(grad_branch + at, given.to(grad_branch.dtype.element_ty), mask=there)
        of_branch_bias += tl.sum(given, 0)
    tl.store(partial_branch_bias + program * dim + column, of_branch_bias, mask=column < dim)
