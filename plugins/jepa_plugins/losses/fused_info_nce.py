"""InfoNCE over batch and queue in one pass over the candidates, for CUDA: the logits (B, C) are never in memory.

With s_bc = z_b · k_c, the positive s_b = z_b · k_b and the negatives N_b (all other candidates that count):

    x_b = log Σ_{c ∈ N_b} exp(s_bc / τ) − s_b / τ,   loss_b = log(1 + exp(x_b)),   w_b = 1 / (1 + exp(−x_b))
    μ_b = Σ_{c ∈ N_b} p_bc k_c,   p_bc = softmax of s_bc / τ over N_b
    ∂loss_b / ∂z_b = w_b (μ_b − k_b) / τ,   ∂loss_b / ∂τ = −w_b z_b · (μ_b − k_b) / τ²

Sum and mean μ are gathered block by block with a running maximum, as online softmax does (Milakov & Gimelshein,
arXiv 1805.02867; in tiles of a contrastive batch, Cheng et al., arXiv 2410.17243). Candidates take no gradient, so that
the pass which gives the loss gives both gradients too: two matrix products instead of three, as in attention whose keys
are its values. Programs add up parts of their own, merged in a fixed order: equal inputs give equal bits.

Numbers: tensor cores multiply in float16, the parts add up in float32. Rounding numbers of unit vectors to float16
moves a logit by 2.9e-4 / (√P τ) on average; where that is too much, they are split in two, high and low, and only the
product of the lows is left out, which leaves 1e-7. The positive, and with it the small losses, is float32 throughout.
Candidates are taken less their mean, which changes neither loss nor gradients, as all logits of a row lose the same.
So rounding is small beside what tells candidates apart, where all are alike, too. μ_b is a mean by weights that are
rounded to float16, of candidates as they were rounded, and k_b beside it is rounded alike. Where duplicates are left
out candidates stay whole, as their similarities are needed.

Shapes: B sequences, P projection dimension, Q slots of the queue, C = B + Q candidates.
"""

# A custom operator's implementation, its fake and its gradient have one list of arguments, given by place.
# ruff: noqa: ARG001, PLR0917

from __future__ import annotations

import functools
import math
from typing import Any

import attrs
import torch
from torch import Tensor

from jepa_plugins.triton_use import has_kernels, operator

WIDEST = 256
"""Projection dimension that a program holds."""
ROUNDING = 2.9e-4
"""Root mean square of what two roundings to float16 change of a product, as a share of it."""
LARGEST_ERROR = 1e-3
"""Of a logit, on average: more than this is not left to float16 alone."""
ENOUGH_ROWS = 512
"""Sequences over which errors of single logits cancel in the mean; with fewer the exact way costs next to nothing."""


def is_fusable(z_context: Tensor) -> bool:
    """Whether `fused_info_nce` takes contexts (B, P) on their device."""
    return has_kernels(z_context) and z_context.shape[1] <= WIDEST and z_context.numel() > 0


def fused_info_nce(
    z_context: Tensor,
    z_target: Tensor,
    queue: Tensor,
    num_filled: Tensor,
    temperature: Tensor,
    *,
    lowest_temperature: float,
    duplicate_similarity: float | None,
) -> Tensor:
    """Scalar: mean cross entropy of each context's own target among all targets and the filled slots of the queue.

    Args:
        z_context: (B, P) float32, unit length. With `temperature`, all that takes a gradient.
        z_target: (B, P) float32, unit length.
        queue: (Q, P) float32, further negatives, unit length in the first `num_filled` slots.
        num_filled: scalar on the device, at most Q.
        temperature: scalar on the device.
        lowest_temperature: that `temperature` can take; decides whether float16 is enough.
        duplicate_similarity: negatives at least this similar to the own target do not count; None if all do.
    """
    error = ROUNDING / (math.sqrt(z_context.shape[1]) * lowest_temperature)
    parts = 1 if error <= LARGEST_ERROR and len(z_context) >= ENOUGH_ROWS else 2
    value: Tensor = _value_and_gradients(
        z_context, z_target.detach(), queue, num_filled, temperature, parts, duplicate_similarity
    )[0]
    return value


@operator("fused_info_nce")
def _value_and_gradients(
    z_context: Tensor,
    z_target: Tensor,
    queue: Tensor,
    num_filled: Tensor,
    temperature: Tensor,
    parts: int,
    duplicate_similarity: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Scalar loss, its gradient by the contexts (B, P), and its gradient by the temperature."""
    from jepa_plugins.losses.fused_info_nce_kernels import finish, gather_negatives, to_halves

    z_context, z_target, queue = z_context.contiguous(), z_target.contiguous(), queue.contiguous()
    (batch, dim), device = z_context.shape, z_context.device
    block_p = max(16, 1 << (dim - 1).bit_length())
    tiles = _tiles(device, block_p, parts, duplicate_similarity is not None)
    padded = _up(batch, max(tiles.rows, tiles.candidates))
    num_rows = 2 * padded + _up(len(queue), tiles.candidates)
    splits = _splits(padded // tiles.rows, (num_rows - padded) // tiles.candidates, _num_processors(device))

    centre = z_target.mean(0) if duplicate_similarity is None else torch.zeros(dim, device=device)
    halves = torch.empty(parts, num_rows, block_p, dtype=torch.float16, device=device)
    to_halves[num_rows // 16,](
        z_context, z_target, queue, centre, num_filled, halves, batch, padded, num_rows, dim,
        BLOCK_R=16, BLOCK_P=block_p, PARTS=parts,
    )  # fmt: skip
    tops, totals, masses = torch.empty(3, splits, padded, device=device)
    mixed = torch.empty(splits, padded, block_p, device=device)
    gather_negatives[padded // tiles.rows, splits](
        halves, num_filled, temperature, tops, totals, masses, mixed, duplicate_similarity or 0.0,
        batch, padded, num_rows, BLOCK_B=tiles.rows, BLOCK_C=tiles.candidates, BLOCK_P=block_p, PARTS=parts,
        HAS_DUPLICATES=duplicate_similarity is not None, num_warps=tiles.warps, num_stages=tiles.stages,
    )  # fmt: skip
    losses, slopes = torch.empty(2, batch, device=device)
    grad_context = torch.empty_like(z_context)
    finish[batch,](
        z_context, z_target, centre, halves, temperature, tops, totals, masses, mixed, losses, slopes, grad_context,
        batch, padded, dim, splits, BLOCK_P=block_p, PARTS=parts, num_warps=2,
    )  # fmt: skip
    return losses.mean(), grad_context, slopes.mean()


@_value_and_gradients.register_fake
def _(
    z_context: Tensor,
    z_target: Tensor,
    queue: Tensor,
    num_filled: Tensor,
    temperature: Tensor,
    parts: int,
    duplicate_similarity: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    return z_context.new_empty(()), torch.empty_like(z_context).contiguous(), z_context.new_empty(())


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    _, *gradients = output
    ctx.mark_non_differentiable(*gradients)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*gradients)


def _differentiate(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
    by_context, by_temperature = ctx.saved_tensors
    return grad * by_context, None, None, None, grad * by_temperature, None, None


_value_and_gradients.register_autograd(_differentiate, setup_context=_keep)


@attrs.frozen
class _Tiles:
    """What a program holds at a time: rows of contexts, candidates, stages of candidates on their way."""

    rows: int
    candidates: int
    stages: int

    @property
    def warps(self) -> int:
        return self.rows // 16


_TILES = (_Tiles(128, 64, 3), _Tiles(128, 64, 2), _Tiles(128, 32, 2), _Tiles(64, 32, 2), _Tiles(16, 16, 1))


@functools.lru_cache
def _tiles(device: torch.device, block_p: int, parts: int, has_duplicates: bool) -> _Tiles:
    """The first that a processor's shared memory takes; the last fits everywhere."""
    properties = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
    room = getattr(properties, "shared_memory_per_block_optin", 48 * 1024)
    for tiles in _TILES[:-1]:
        num_rows = (1 + has_duplicates) * tiles.rows + tiles.stages * tiles.candidates
        # A few KiB beyond the blocks are for sums across a program's warps.
        if 2 * parts * num_rows * block_p + 8 * 1024 <= room:
            return tiles
    return _TILES[-1]


def _num_processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 8


@functools.lru_cache
def _splits(num_row_blocks: int, num_candidate_blocks: int, num_processors: int) -> int:
    """Programs that share the candidates of one block of rows: the fewest that keep nearly all processors busy."""
    most = max(1, min(4 * num_processors // num_row_blocks, num_candidate_blocks))

    def busy(splits: int) -> float:
        rounds = num_row_blocks * splits / num_processors
        return round(rounds / math.ceil(rounds), 1)

    return max(range(1, most + 1), key=busy)


def _up(number: int, to: int) -> int:
    return math.ceil(number / to) * to
