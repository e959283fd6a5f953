"""The Triton kernels of `jepa_plugins.activation`, which has the mathematics.

Tensors are (rows, dim), contiguous. A program is a block of rows and columns; in the way back it goes through several
blocks of rows, and leaves partial sums for the gradient of the bias.
"""

# Triton's arguments have the types of the call, and are given by place.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
# ruff: noqa: PLR0917

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _normal(z):
    """Φ(z), to 1e-7 (Abramowitz and Stegun 7.1.26), and exp(−z²/2), which it is made of."""
    x = tl.abs(z) * 0.7071067811865476
    density, t = tl.exp(-x * x), 1 / (1 + 0.3275911 * x)
    beyond = 1.061405429 * t - 1.453152027
    beyond = (((beyond * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * density * 0.5
    return tl.where(z < 0, beyond, 1 - beyond), density


# How many rows there are needs no kernel of its own where 16 divides it.
@triton.jit(do_not_specialize=["num_rows"])
def biased_gelu(product, bias, active, num_rows, dim, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """GELU of the product with the bias."""
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    there = (row < num_rows)[:, None] & (column < dim)[None, :]
    at = row.to(tl.int64)[:, None] * dim + column[None, :]
    z = tl.load(product + at, mask=there, other=0.0).to(tl.float32)
    z += tl.load(bias + column, mask=column < dim, other=0.0).to(tl.float32)[None, :]
    below, _ = _normal(z)
    tl.store(active + at, (z * below).to(active.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=["num_rows", "num_blocks"])
def biased_gelu_backward(
    grad, product, bias, grad_product, partial_bias, num_rows, dim, num_blocks,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The gradient of the product, and of the bias as far as this program's rows give it."""
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    a = tl.load(bias + column, mask=column < dim, other=0.0).to(tl.float32)[None, :]
    # Row by row: to add up over rows in every round would let a program's warps wait for each other.
    of_bias = tl.zeros((ROWS, COLUMNS), tl.float32)
    for block in range(tl.program_id(0), num_blocks, tl.num_programs(0)):
        row = block * ROWS + tl.arange(0, ROWS)
        there = (row < num_rows)[:, None] & (column < dim)[None, :]
        at = row.to(tl.int64)[:, None] * dim + column[None, :]
        z = tl.load(product + at, mask=there, other=0.0).to(tl.float32) + a
        given = tl.load(grad + at, mask=there, other=0.0).to(tl.float32)
        below, density = _normal(z)
        given *= below + z * density * 0.3989422804014327
        tl.store(grad_product + at, given.to(grad_product.dtype.element_ty), mask=there)
        of_bias += given
    tl.store(partial_bias + tl.program_id(0) * dim + column, tl.sum(of_bias, 0), mask=column < dim)
