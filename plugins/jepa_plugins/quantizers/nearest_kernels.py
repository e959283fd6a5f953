"""The nearest code of each token without a table of distances: three Triton kernels, for CUDA. Needs Triton.

The nearest code has the largest score s_k = x·c_k − |c_k|²/2. Distances stay when the codebook's mean is taken from
tokens and codes alike, and scores lose what all codes have in common. Three steps follow:

`split`   Writes a row x, scaled by a power of two, as two float16 numbers: x = h + l + rest, |rest| ≤ 2⁻²² |x|.
`scan`    Scores all codes by s'_k = h(x)·h(c_k) − |c_k|²/2, one product on tensor cores, and keeps the best two in
          registers. By Cauchy and Schwarz |s'_k − s_k| ≤ |x| |c_k − h(c_k)| + |x − h(x)| |h(c_k)| =: e. Where the best
          leads by more than 2 e it is the nearest; else the token goes on a list. Of random tokens few are listed, of
          tokens between two codes all: the data decide how long the third step takes, never what it finds.
`refine`  Scores the listed tokens anew with h·h + h·l + l·h, which is as exact as float32. Programs share out tokens
          and codes, and meet in the largest of (score, −index) as one integer: no order of arrival changes it.

No step waits for the host, and how many tokens are on the list is read on the device.

Shapes: G groups, M tokens, K codes, padded to whole blocks, d dimensions, padded with zeros.
"""

# Triton's arguments have the types of the call, and are given by place.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
# ruff: noqa: PLR0917

from __future__ import annotations

from functools import cache

import attrs
import torch
import triton
import triton.language as tl
from torch import Tensor

LEAST_EXPONENT = tl.constexpr(-64)
"""Rows are scaled up by at most 2⁷⁹, so that |c|² stays finite in float32."""
TOP_EXPONENT = tl.constexpr(15)
"""Scaled values are below 2¹⁵, half of the largest float16."""
NO_CODE = tl.constexpr(2.0**127)
"""|c|²/2 of codes that only fill a block."""
OPEN = tl.constexpr(-(2**63) + 1)
"""Key of a token on the list, below those of all scores."""


@attrs.frozen(kw_only=True)
class Blocks:
    """How the work is cut: tokens and codes of a block, dimensions of a step, and what the compiler may use."""

    scan_tokens: int
    scan_codes: int
    scan_warps: int
    scan_stages: int
    scan_dims: int = 64
    refine_tokens: int = 64
    refine_codes: int = 128
    refine_warps: int = 4
    refine_stages: int = 3
    holds_tokens: bool = False
    """The scan keeps whole tokens at hand over all codes; its step has all dimensions then."""


def chosen_blocks(dim: int, device: torch.device) -> Blocks:
    """For tokens of `dim` dimensions, by the shared memory of the device: 227 KiB on Hopper, 99 on small cards."""
    if _machine(device)[1] < 200 * 1024:
        return Blocks(scan_tokens=64, scan_codes=64, scan_warps=4, scan_stages=2, refine_codes=64, refine_stages=2)
    if dim <= 256:
        dims = max(64, triton.next_power_of_2(dim))
        return Blocks(scan_tokens=128, scan_codes=128, scan_dims=dims, scan_warps=8, scan_stages=2, holds_tokens=True)
    return Blocks(scan_tokens=128, scan_codes=128, scan_warps=8, scan_stages=3)


@cache
def _machine(device: torch.device) -> tuple[int, int]:
    """Multiprocessors, and bytes of shared memory that a program may have; few of the first for the interpreter."""
    if device.type != "cuda":
        return 2, 2**20
    properties = torch.cuda.get_device_properties(device)
    most = getattr(properties, "shared_memory_per_block_optin", properties.shared_memory_per_block)
    return properties.multi_processor_count, most


def fused_nearest(tokens_GMd: Tensor, codebook_GKd: Tensor, blocks: Blocks | None = None) -> Tensor:
    """(G, M) int64, as `nearest_codes`, for tokens and a codebook of float32 or fewer bits."""
    num_groups, num_tokens, dim = tokens_GMd.shape
    num_codes, device = codebook_GKd.shape[1], tokens_GMd.device
    blocks = blocks or chosen_blocks(dim, device)
    mean_Gd = codebook_GKd.mean(1, dtype=torch.float32)
    largest_G = torch.linalg.vector_norm(codebook_GKd - mean_Gd[:, None], ord=torch.inf, dim=(1, 2))
    whole_codes = max(blocks.scan_codes, blocks.refine_codes)
    padded_codes = triton.cdiv(num_codes, whole_codes) * whole_codes
    tokens = _split(tokens_GMd, mean_Gd, largest_G, num_tokens, blocks.scan_dims)
    codes = _split(codebook_GKd, mean_Gd, largest_G, padded_codes, blocks.scan_dims)
    longest_2G = codes.figures[2:, :, :num_codes].amax(-1)
    keys_GM = torch.empty(num_groups, num_tokens, dtype=torch.int64, device=device)
    listed_GM = torch.empty(num_groups, num_tokens, dtype=torch.int32, device=device)
    num_listed_G = torch.zeros(num_groups, dtype=torch.int32, device=device)
    ratios, _, norms, errors = tokens.figures
    sizes = num_tokens, num_codes, padded_codes, tokens.high.shape[-1]
    scan[triton.cdiv(num_tokens, blocks.scan_tokens), num_groups](
        tokens.high, ratios, norms, errors, codes.high, codes.figures[1], longest_2G,
        keys_GM, listed_GM, num_listed_G, *sizes,
        BLOCK_M=blocks.scan_tokens, BLOCK_K=blocks.scan_codes, BLOCK_D=blocks.scan_dims,
        HOLDS_TOKENS=blocks.holds_tokens, num_warps=blocks.scan_warps, num_stages=blocks.scan_stages,
    )  # fmt: skip
    refine[4 * _machine(device)[0], num_groups](
        tokens.high, tokens.low, ratios, codes.high, codes.low, codes.figures[1],
        keys_GM, listed_GM, num_listed_G, *sizes,
        BLOCK_M=blocks.refine_tokens, BLOCK_K=blocks.refine_codes, BLOCK_D=64, PART=2 * blocks.refine_codes,
        num_warps=blocks.refine_warps, num_stages=blocks.refine_stages,
    )  # fmt: skip
    # The clamp is for tokens over 2⁸⁰ times as long as codes, to which codes that fill a block seem as near.
    return (num_codes - 1 - (keys_GM & 0xFFFFFFFF)).clamp_(0, num_codes - 1)


@attrs.frozen
class _Split:
    """Scaled rows as a sum of two float16 (G, N, padded d), and figures (4, G, N) of each row.

    The figures are the row's scale over that of the codes (at most 1), |x|²/2, |x| and |x − h| of the scaled row.
    """

    high: Tensor
    low: Tensor
    figures: Tensor


def _split(rows_GNd: Tensor, mean_Gd: Tensor, largest_G: Tensor, num_padded: int, dims: int) -> _Split:
    num_groups, num_rows, dim = rows_GNd.shape
    shape = num_groups, num_padded, triton.cdiv(dim, dims) * dims
    high, low = (torch.empty(shape, dtype=torch.float16, device=rows_GNd.device) for _ in range(2))
    figures = torch.empty(4, *shape[:2], device=rows_GNd.device)
    block_dim = triton.next_power_of_2(shape[-1])
    block_rows = max(1, 4096 // block_dim)
    split[triton.cdiv(num_padded, block_rows), num_groups](
        rows_GNd, mean_Gd, largest_G, high, low, *figures,
        *rows_GNd.stride(), num_rows, num_padded, dim, shape[-1], BLOCK_N=block_rows, BLOCK_D=block_dim,
    )  # fmt: skip
    return _Split(high, low, figures)


@triton.jit
def _exponent(values):
    """The e of |x| = f · 2^e with f in [1/2, 1); −126 for zero."""
    return ((values.to(tl.int32, bitcast=True) >> 23) & 255) - 126


@triton.jit
def _power_of_two(exponent):
    return (tl.maximum(exponent + 127, 0) << 23).to(tl.float32, bitcast=True)


@triton.jit
def split(
    rows, mean, largest, high, low, ratios, half_squares, norms, errors,
    stride_g, stride_n, stride_d, num_rows, num_padded, dim, padded_dim,
    BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """High and low part of a few rows less the mean. A row of small values is scaled as the codes are."""
    group = tl.program_id(1)
    row = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    column = tl.arange(0, BLOCK_D)[None, :]
    there = (row < num_rows)[:, None] & (column < dim)
    at = rows + group.to(tl.int64) * stride_g + row[:, None] * stride_n + column * stride_d
    values = tl.load(at, mask=there, other=0.0).to(tl.float32)
    values = tl.where(there, values - tl.load(mean + group * dim + column, mask=column < dim, other=0.0), 0.0)
    # What is not finite has no nearest code: as zeros it gets one of them, and all that follows is finite.
    values = tl.where(tl.abs(values) < float("inf"), values, 0.0)
    of_codes = tl.maximum(_exponent(tl.load(largest + group)), LEAST_EXPONENT)
    exponent = tl.maximum(_exponent(tl.max(tl.abs(values), 1)), of_codes)
    values *= _power_of_two(TOP_EXPONENT - exponent)[:, None]
    first = values.to(tl.float16)
    rest = values - first.to(tl.float32)
    is_kept = row < num_padded
    place = (group.to(tl.int64) * num_padded + row)[:, None] * padded_dim + column
    is_stored = is_kept[:, None] & (column < padded_dim)
    tl.store(high + place, first, mask=is_stored)
    tl.store(low + place, rest.to(tl.float16), mask=is_stored)
    of_row = group.to(tl.int64) * num_padded + row
    square = tl.sum(values * values, 1)
    tl.store(ratios + of_row, _power_of_two(of_codes - exponent), mask=is_kept)
    tl.store(half_squares + of_row, tl.where(row < num_rows, square * 0.5, NO_CODE), mask=is_kept)
    tl.store(norms + of_row, tl.sqrt(square), mask=is_kept)
    tl.store(errors + of_row, tl.sqrt(tl.sum(rest * rest, 1)), mask=is_kept)


@triton.jit
def scan(
    tokens, ratios, norms, errors, codes, code_half_squares, longest,
    keys, listed, num_listed, num_tokens, num_codes, padded_codes, PADDED_DIM: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr, HOLDS_TOKENS: tl.constexpr,
):  # fmt: skip
    """Settle a block of tokens by scores of their high parts, or put them on the list."""
    group = tl.program_id(1).to(tl.int64)
    row = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    # Rows past the end repeat the last, and are not stored.
    of_row = group * num_tokens + tl.minimum(row, num_tokens - 1)
    column, dims = tl.arange(0, BLOCK_K), tl.arange(0, BLOCK_D)
    tokens_at = tokens + of_row[:, None] * PADDED_DIM + dims[None, :]
    codes += group * padded_codes * PADDED_DIM
    code_offsets = column[None, :] * PADDED_DIM + dims[:, None]
    squares_at = code_half_squares + group * padded_codes + column
    ratio = tl.load(ratios + of_row)
    if HOLDS_TOKENS:
        held = tl.load(tokens_at)
    best = tl.full([BLOCK_M], float("-inf"), tl.float32)
    second = best
    best_start = tl.zeros([BLOCK_M], tl.int32)
    for start in tl.range(0, padded_codes, BLOCK_K):
        if HOLDS_TOKENS:
            products = tl.dot(held, tl.load(codes + start * PADDED_DIM + code_offsets))
        else:
            products = tl.zeros([BLOCK_M, BLOCK_K], tl.float32)
            for step in tl.range(0, PADDED_DIM, BLOCK_D):
                block = tl.load(codes + start * PADDED_DIM + step + code_offsets)
                products = tl.dot(tl.load(tokens_at + step), block, products)
        scores = products - ratio[:, None] * tl.load(squares_at + start)[None, :]
        # The column takes the place of the last bits, which the scan's error exceeds: one maximum finds both.
        bits = (scores.to(tl.int32, bitcast=True) & -BLOCK_K) | column[None, :]
        scores = bits.to(tl.float32, bitcast=True)
        top = tl.max(scores, 1)
        runner_up = tl.max(tl.where(scores == top[:, None], float("-inf"), scores), 1)
        second = tl.maximum(tl.maximum(second, runner_up), tl.minimum(best, top))
        best_start = tl.where(top > best, start, best_start)
        best = tl.maximum(best, top)
    code = best_start + (best.to(tl.int32, bitcast=True) & (BLOCK_K - 1))
    norm, norm_of_code = tl.load(norms + of_row), tl.load(longest + group)
    bound = norm * tl.load(longest + tl.num_programs(1) + group) + tl.load(errors + of_row) * norm_of_code
    # Sums on tensor cores round too, and so does the column in the last bits of both scores, also of scores of zero.
    bound += norm * norm_of_code * 2.0**-18 + tl.abs(best) * (BLOCK_K * 2.0**-23) + 2.0**-100
    is_open = (row < num_tokens) & (best - second <= 2 * bound)
    key = tl.where(is_open, tl.full([BLOCK_M], OPEN, tl.int64), (num_codes - 1 - code).to(tl.int64))
    tl.store(keys + of_row, key, mask=row < num_tokens)
    position = tl.cumsum(is_open.to(tl.int32), 0) - 1
    position += tl.atomic_add(num_listed + group, tl.sum(is_open.to(tl.int32), 0))
    tl.store(listed + group * num_tokens + position, row, mask=is_open)


@triton.jit
def refine(
    tokens, tokens_low, ratios, codes, codes_low, code_half_squares,
    keys, listed, num_listed, num_tokens, num_codes, padded_codes, PADDED_DIM: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr, PART: tl.constexpr,
):  # fmt: skip
    """Best code of listed tokens among a part of the codes; a program takes every n-th of all such pairs."""
    group = tl.program_id(1).to(tl.int64)
    column, dims = tl.arange(0, BLOCK_K), tl.arange(0, BLOCK_D)
    codes_at = group * padded_codes * PADDED_DIM + column[None, :] * PADDED_DIM + dims[:, None]
    num = tl.load(num_listed + group)
    num_parts = tl.cdiv(padded_codes, PART)
    for item in tl.range(tl.program_id(0), tl.cdiv(num, BLOCK_M) * num_parts, tl.num_programs(0)):
        place = item // num_parts * BLOCK_M + tl.arange(0, BLOCK_M)
        of_row = group * num_tokens + tl.load(listed + group * num_tokens + place, mask=place < num, other=0)
        tokens_at = of_row[:, None] * PADDED_DIM + dims[None, :]
        ratio = tl.load(ratios + of_row)
        begin = item % num_parts * PART
        best = tl.full([BLOCK_M], float("-inf"), tl.float32)
        code = tl.zeros([BLOCK_M], tl.int32)
        for start in tl.range(begin, tl.minimum(begin + PART, padded_codes), BLOCK_K):
            products = tl.zeros([BLOCK_M, BLOCK_K], tl.float32)
            for step in tl.range(0, PADDED_DIM, BLOCK_D):
                x, c = tl.load(tokens + tokens_at + step), tl.load(codes + codes_at + start * PADDED_DIM + step)
                products = tl.dot(tl.load(tokens_low + tokens_at + step), c, products)
                products = tl.dot(x, tl.load(codes_low + codes_at + start * PADDED_DIM + step), products)
                products = tl.dot(x, c, products)
            half_square = tl.load(code_half_squares + group * padded_codes + start + column)
            top, at = tl.max(products - ratio[:, None] * half_square[None, :], 1, return_indices=True)
            code = tl.where(top > best, start + at, code)
            best = tl.maximum(best, top)
        # Negative floats have their bits flipped, so that integers are ordered as the scores are.
        bits = best.to(tl.int32, bitcast=True)
        order = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(tl.int64)
        tl.atomic_max(keys + of_row, (order << 32) | (num_codes - 1 - code), mask=place < num)
