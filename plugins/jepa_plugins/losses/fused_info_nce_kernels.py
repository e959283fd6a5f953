"""The three kernels of `jepa_plugins.losses.fused_info_nce`, which has the mathematics. Needs Triton.

`halves` holds float16 rows of contexts, targets and queue one after the other, the first two padded to `padded` rows,
all to `num_rows` rows and BLOCK_P columns with zeros; with two PARTS the low halves follow. Candidates are counted from
the first target on.
"""

# Triton's arguments have the types of the call, and are given by place.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
# ruff: noqa: PLR0917

from __future__ import annotations

import triton
import triton.language as tl

LOWEST: tl.constexpr = tl.constexpr(-1e30)
"""In place of −inf, whose difference from itself is no number."""
TO_BASE_2: tl.constexpr = tl.constexpr(1.4426950408889634)
ROOM: tl.constexpr = tl.constexpr(7.0)
"""Weights are raised by 2⁷, so that small ones are not lost in float16: the largest stay far below its end."""


@triton.jit
def to_halves(
    z_context, z_target, queue, centre, num_filled, halves, batch, padded, num_rows, dim,
    BLOCK_R: tl.constexpr, BLOCK_P: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """BLOCK_R rows of `halves`."""
    row = (tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R))[:, None].to(tl.int64)
    column = tl.arange(0, BLOCK_P)[None, :]
    of_target, of_queue = row - padded, row - 2 * padded
    is_target = (of_target >= 0) & (of_target < batch)
    is_queued = (of_queue >= 0) & (of_queue < tl.load(num_filled))
    middle = tl.load(centre + column, mask=column < dim, other=0.0)
    # A row is in one of the three at most, and the others give zeros.
    number = tl.load(z_context + row * dim + column, mask=(row < batch) & (column < dim), other=0.0)
    number += tl.load(z_target + of_target * dim + column, mask=is_target & (column < dim), other=0.0)
    number += tl.load(queue + of_queue * dim + column, mask=is_queued & (column < dim), other=0.0)
    number -= tl.where(is_target | is_queued, middle, 0.0)
    high = number.to(tl.float16)
    tl.store(halves + row * BLOCK_P + column, high)
    if PARTS == 2:
        tl.store(halves + (num_rows + row) * BLOCK_P + column, (number - high.to(tl.float32)).to(tl.float16))


@triton.jit
def _load(halves, first, num_rows, BLOCK_N: tl.constexpr, BLOCK_P: tl.constexpr, PARTS: tl.constexpr):
    """High and low halves (BLOCK_N, BLOCK_P) from a row on; with one part the low are the high, and not used."""
    row, column = tl.arange(0, BLOCK_N)[:, None], tl.arange(0, BLOCK_P)[None, :]
    start = halves + first.to(tl.int64) * BLOCK_P
    high = tl.load(start + row * BLOCK_P + column)
    low = high
    if PARTS == 2:
        low = tl.load(start + num_rows.to(tl.int64) * BLOCK_P + row * BLOCK_P + column)
    return high, low


@triton.jit
def _similarity(high, low, candidate, candidate_low, PARTS: tl.constexpr):
    product = tl.dot(high, tl.trans(candidate))
    if PARTS == 2:
        product = tl.dot(low, tl.trans(candidate), product)
        product = tl.dot(high, tl.trans(candidate_low), product)
    return product


@triton.jit
def gather_negatives(
    halves, num_filled, temperature, tops, totals, masses, mixes, threshold, batch, padded, num_rows,
    BLOCK_B: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr, PARTS: tl.constexpr,
    HAS_DUPLICATES: tl.constexpr,
):  # fmt: skip
    """A block of contexts and a share of the candidates: exponent taken out, sum of weights, the same as they are
    rounded for the product, and sum of rows that are weighted so."""
    first_row, split = tl.program_id(0) * BLOCK_B, tl.program_id(1)
    row = first_row + tl.arange(0, BLOCK_B)
    context, context_low = _load(halves, first_row, num_rows, BLOCK_B, BLOCK_P, PARTS)
    target, target_low = context, context_low
    if HAS_DUPLICATES:
        target, target_low = _load(halves, padded + first_row, num_rows, BLOCK_B, BLOCK_P, PARTS)
    scale = TO_BASE_2 / tl.load(temperature)
    end_of_queue = padded + tl.load(num_filled).to(tl.int32)
    num_blocks = tl.cdiv(end_of_queue, BLOCK_C)
    share = tl.cdiv(num_blocks, tl.num_programs(1))

    top = tl.full([BLOCK_B], LOWEST, tl.float32)
    total = tl.zeros([BLOCK_B], tl.float32)
    mass = total
    mixed = tl.zeros([BLOCK_B, BLOCK_P], tl.float32)
    for block in range(split * share, tl.minimum((split + 1) * share, num_blocks)):
        first = block * BLOCK_C
        candidate, candidate_low = _load(halves, padded + first, num_rows, BLOCK_C, BLOCK_P, PARTS)
        logits = _similarity(context, context_low, candidate, candidate_low, PARTS) * scale
        at = first + tl.arange(0, BLOCK_C)[None, :]
        is_negative = ((at < batch) & (at != row[:, None])) | ((at >= padded) & (at < end_of_queue))
        logits = tl.where(is_negative, logits, float("-inf"))
        if HAS_DUPLICATES:
            similarity = _similarity(target, target_low, candidate, candidate_low, PARTS)
            # What is no number is no duplicate, and shows in the loss.
            logits = tl.where(similarity >= threshold, float("-inf"), logits)
        # Without branches the loop is faster, though most blocks of a queue need neither mask nor a new scale.
        raised = tl.maximum(top, tl.max(logits, 1) - ROOM)
        shrink = tl.exp2(top - raised)
        total, mass, mixed, top = total * shrink, mass * shrink, mixed * shrink[:, None], raised
        weights = tl.exp2(logits - top[:, None])
        total += tl.sum(weights, 1)
        rounded = weights.to(tl.float16)
        mass += tl.sum(rounded.to(tl.float32), 1)
        mixed = tl.dot(rounded, candidate, mixed)
        if PARTS == 2:
            mixed = tl.dot(rounded, candidate_low, mixed)

    place = split * padded + row
    tl.store(tops + place, top)
    tl.store(totals + place, total)
    tl.store(masses + place, mass)
    tl.store(mixes + place[:, None].to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)[None, :], mixed)


@triton.jit
def finish(
    z_context, z_target, centre, halves, temperature, tops, totals, masses, mixes, losses, slopes, grad_context,
    batch, padded, dim, num_splits, BLOCK_P: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """One context: its shares merged, then loss and gradients."""
    row, column = tl.program_id(0), tl.arange(0, BLOCK_P)
    top, total, mass = tl.load(tops + row), tl.load(totals + row), tl.load(masses + row)
    mixed = tl.load(mixes + row.to(tl.int64) * BLOCK_P + column)
    for split in range(1, num_splits):
        place = split * padded + row
        top_here = tl.load(tops + place)
        raised = tl.maximum(top, top_here)
        shrink, shrink_here = tl.exp2(top - raised), tl.exp2(top_here - raised)
        total = total * shrink + tl.load(totals + place) * shrink_here
        mass = mass * shrink + tl.load(masses + place) * shrink_here
        mixed = mixed * shrink + tl.load(mixes + place.to(tl.int64) * BLOCK_P + column) * shrink_here
        top = raised

    is_there = column < dim
    at = row.to(tl.int64) * dim + column
    context = tl.load(z_context + at, mask=is_there, other=0.0)
    target = tl.load(z_target + at, mask=is_there, other=0.0) - tl.load(centre + column, mask=is_there, other=0.0)
    divisor = tl.load(temperature)
    # Without any negative the loss is 0, and so is the gradient.
    is_alone = total == 0
    total = tl.where(is_alone, 1.0, total)
    excess = (top + tl.log2(total)) / TO_BASE_2 - tl.sum(context * target, 0) / divisor
    excess = tl.where(is_alone, float("-inf"), excess)
    small = tl.exp(-tl.abs(excess))
    tl.store(losses + row, tl.maximum(excess, 0.0) + tl.log(1 + small))
    weight = tl.where(excess > 0, 1.0, small) / (1 + small)
    # The mean of candidates less the target, both as they were rounded: where all are alike nothing else is left.
    rounded = target
    if PARTS == 1:
        rounded = tl.load(halves + (padded + row).to(tl.int64) * BLOCK_P + column).to(tl.float32)
    direction = mixed / tl.where(mass == 0, 1.0, mass) - rounded
    tl.store(grad_context + at, weight * direction / (divisor * batch), mask=is_there)
    tl.store(slopes + row, -weight * tl.sum(context * direction, 0) / (divisor * divisor))
