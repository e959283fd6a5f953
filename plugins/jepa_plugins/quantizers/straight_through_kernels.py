"""The Triton kernels of `jepa_plugins.quantizers.straight_through`, which has the mathematics.

Tensors are contiguous. A program is a block of tokens.
"""

# Triton's arguments have the types of the call, and are given by place.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
# ruff: noqa: PLR0917

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _read(values, mask, codes, codebook, num_rows, dim, num_codes, group_dim, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Places (ROWS, BLOCK), which of them are there, rows, which of them hold tokens, tokens and their codes."""
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, BLOCK)
    there = (row < num_rows)[:, None] & (column < dim)[None, :]
    at = row.to(tl.int64)[:, None] * dim + column[None, :]
    is_token = tl.load(mask + row, mask=row < num_rows, other=0) != 0
    token = tl.load(values + at, mask=there & is_token[:, None], other=0.0).to(tl.float32)
    group = column[None, :] // group_dim
    number = tl.load(codes + group.to(tl.int64) * num_rows + row[:, None], mask=there, other=0)
    code_at = (group * num_codes + number) * group_dim + column[None, :] % group_dim
    code = tl.load(codebook + code_at, mask=there, other=0.0)
    return at, there, row, is_token, token, code


# How many tokens there are needs no kernel of its own where 16 divides it.
@triton.jit(do_not_specialize=["num_rows", "num_codes"])
def quantize(
    values, mask, codes, codebook, quantized, errors, num_rows, dim, num_codes, group_dim,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """q and e of a few tokens."""
    at, there, row, is_token, token, code = _read(
        values, mask, codes, codebook, num_rows, dim, num_codes, group_dim, ROWS, BLOCK
    )
    kept = tl.where(is_token[:, None], code, 0.0)
    tl.store(quantized + at, kept.to(quantized.dtype.element_ty), mask=there)
    difference = token - code
    tl.store(errors + row, tl.sum(difference * difference, 1) / dim, mask=row < num_rows)


@triton.jit(do_not_specialize=["num_rows", "num_codes"])
def quantize_backward(
    grad, grad_errors, values, mask, codes, codebook, grad_values, num_rows, dim, num_codes, group_dim,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """dL/dx of a few tokens."""
    at, there, row, is_token, token, code = _read(
        values, mask, codes, codebook, num_rows, dim, num_codes, group_dim, ROWS, BLOCK
    )
    of_error = tl.load(grad_errors + row, mask=row < num_rows, other=0.0) * 2 / dim
    given = tl.load(grad + at, mask=there, other=0.0).to(tl.float32) + of_error[:, None] * (token - code)
    tl.store(grad_values + at, tl.where(is_token[:, None], given, 0.0).to(grad_values.dtype.element_ty), mask=there)
