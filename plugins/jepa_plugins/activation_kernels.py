"""The Triton kernels of `jepa_plugins.activation`, which has the mathematics.

Tensors are (rows, dim), contiguous. A program is a block of rows; in the way back it goes through several of them, and
leaves one row of partial sums for the gradient of the bias.
"""

# Triton's arguments have the types of the call, and are given by place.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
# ruff: noqa: PLR0917

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _below(z):
    """Φ(z): the share of a normal distribution below z."""
    return 0.5 * (1 + tl.erf(z * 0.7071067811865476))


# How many rows there are needs no kernel of its own where 16 divides it.
@triton.jit(do_not_specialize=["num_rows"])
def biased_gelu(product, bias, active, num_rows, dim, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """GELU of the product with the bias."""
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, BLOCK)
    there = (row < num_rows)[:, None] & (column < dim)[None, :]
    at = row.to(tl.int64)[:, None] * dim + column[None, :]
    z = tl.load(product + at, mask=there, other=0.0).to(tl.float32)
    z += tl.load(bias + column, mask=column < dim, other=0.0).to(tl.float32)[None, :]
    tl.store(active + at, (z * _below(z)).to(active.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=["num_rows", "num_blocks"])
def biased_gelu_backward(
    grad, product, bias, grad_product, partial_bias, num_rows, dim, num_blocks, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """The gradient of the product, and of the bias as far as this program's rows give it."""
    program, column = tl.program_id(0), tl.arange(0, BLOCK)
    a = tl.load(bias + column, mask=column < dim, other=0.0).to(tl.float32)[None, :]
    of_bias = tl.zeros((BLOCK,), tl.float32)
    for block in range(program, num_blocks, tl.num_programs(0)):
        row = block * ROWS + tl.arange(0, ROWS)
        there = (row < num_rows)[:, None] & (column < dim)[None, :]
        at = row.to(tl.int64)[:, None] * dim + column[None, :]
        z = tl.load(product + at, mask=there, other=0.0).to(tl.float32) + a
        given = tl.load(grad + at, mask=there, other=0.0).to(tl.float32)
        given *= _below(z) + z * 0.3989422804014327 * tl.exp(-0.5 * z * z)
        tl.store(grad_product + at, given.to(grad_product.dtype.element_ty), mask=there)
        of_bias += tl.sum(given, 0)
    tl.store(partial_bias + program * dim + column, of_bias, mask=column < dim)
