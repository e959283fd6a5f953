"""What local patterns add to their cells' tokens: each has a fixed direction and a learned weight.

    S_c = Σ_v  m_vc w(n_vc) · r(n_vc)        over the views v of a grid that tell something around cell c

with pattern numbers n, weights w, directions r, and the drawn mask m of dropout. On CUDA one Triton kernel each way,
which holds no (V, C, E) in memory: the way back draws m again, and gives dL/dw(n_vc) = m_vc ⟨dL/dS_c, r(n_vc)⟩.

Shapes: V views, C cells, E dimension of a direction.
"""

# A custom operator's implementation, its fake and its gradient have one list of arguments, given by place.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_plugins.triton_use import dropout_seed, has_kernels, operator

_CELLS = 32
"""Cells of a program."""


def bag_of_patterns(numbers: Tensor, weights: Tensor, directions: Tensor, dropout: float) -> Tensor:
    """Numbers (V, C) int32 as `LocalPatterns` gives them, weights (bins, 1), directions (bins, E) to sums (C, E).

    Args:
        dropout: share of the patterns left out, each on its own; the others grow to make up for it.
    """
    if has_kernels(numbers):
        seed = dropout_seed(numbers.device, dropout)
        sums: Tensor = _forward(numbers.contiguous(), weights.contiguous(), directions.contiguous(), seed, dropout)
        return sums
    is_told = numbers >= 0
    rows = torch.where(is_told, numbers, ~numbers)
    kept = F.dropout(F.embedding(rows, weights) * is_told.unsqueeze(-1), dropout)
    return (F.embedding(rows, directions) * kept).sum(0)


@operator("bag_of_patterns")
def _forward(numbers: Tensor, weights: Tensor, directions: Tensor, seed: Tensor | None, p: float) -> Tensor:
    from jepa_plugins.grids.local_pattern_kernels import add_patterns

    sums = torch.empty(numbers.shape[1], directions.shape[1], dtype=directions.dtype, device=numbers.device)
    add_patterns[_grid(numbers)](numbers, weights, directions, sums, seed, p, *_sizes(numbers, directions, p))
    return sums


@operator("bag_of_patterns_backward")
def _backward(grad: Tensor, numbers: Tensor, directions: Tensor, seed: Tensor | None, p: float) -> Tensor:
    from jepa_plugins.grids.local_pattern_kernels import add_patterns_backward

    of_patterns = torch.empty(numbers.shape, dtype=torch.float32, device=numbers.device)
    add_patterns_backward[_grid(numbers)](
        numbers, directions, grad.contiguous(), of_patterns, seed, p, *_sizes(numbers, directions, p)
    )
    # What tells nothing adds zeros: spread over the bins, they do not queue up at one.
    spread = torch.arange(numbers.numel(), device=numbers.device, dtype=numbers.dtype).view_as(numbers)
    rows = torch.where(numbers < 0, spread % len(directions), numbers)
    grad_weights = torch.zeros(len(directions), device=numbers.device)
    return grad_weights.index_add_(0, rows.flatten(), of_patterns.flatten()).unsqueeze(1)


@_forward.register_fake
def _(numbers: Tensor, weights: Tensor, directions: Tensor, seed: Tensor | None, p: float) -> Tensor:
    return torch.empty(numbers.shape[1], directions.shape[1], dtype=directions.dtype, device=numbers.device)


@_backward.register_fake
def _(grad: Tensor, numbers: Tensor, directions: Tensor, seed: Tensor | None, p: float) -> Tensor:
    return torch.empty(len(directions), 1, device=numbers.device)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    numbers, _, directions, seed, ctx.p = inputs
    ctx.save_for_backward(numbers, directions, seed)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return None, _backward(grad, *ctx.saved_tensors, ctx.p), None, None, None


_forward.register_autograd(_differentiate, setup_context=_keep)


def _grid(numbers: Tensor) -> tuple[int]:
    return (-(-numbers.shape[1] // _CELLS),)


def _sizes(numbers: Tensor, directions: Tensor, p: float) -> list[Any]:
    """Views, cells and dimension, whether there is dropout, and the blocks of cells and dimensions."""
    dim = directions.shape[1]
    return [*numbers.shape, dim, p > 0, _CELLS, 1 << (dim - 1).bit_length()]
