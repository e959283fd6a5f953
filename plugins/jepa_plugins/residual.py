"""A residual stream's steps: a linear layer, dropout, addition and the normal form of the sum, on CUDA in one kernel.

    b = W h + a                      of which the kernel adds a, the layer's bias
    y = x + m ∘ b / (1 − p)          with a drawn mask m of dropout p
    n = (y − mean y) / √(var y + ε) · w + c                                    layer normalisation, arXiv 1607.06450

    dy = dL/dy + σ (g ∘ w − mean(g ∘ w) − u mean(g ∘ w ∘ u)),   dw = Σ g ∘ u,   dc = Σ g
    db = m ∘ dy / (1 − p),   da = Σ db

with g = dL/dn, σ = 1 / √(var y + ε) and u = (y − mean y) σ. The way back draws m again from the seed, so that it is not
stored, and adds up in a fixed order: equal inputs give equal bits. Sums are in float32; y is rounded to the stream's
number format, and n to the one that autocast multiplies in. Without Triton, and on the CPU, torch does the same in
steps.

Shapes: rows of dimension D, in any leading shape.
"""

# A custom operator's implementation, its fake and its gradient have one list of arguments, given by place.
# ruff: noqa: ARG001, PLR0917

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_plugins.triton_use import dropout_seed, has_kernels, operator

WIDEST = 4096
"""Dimension of a row that a program holds."""
_NUMBERS = 1024
"""Of a tensor, held by a program."""
_PROGRAMS = 1056
"""Of the way back: eight for each of an H200's 132 multiprocessors."""
_WARPS = 2
"""Of a program."""


def normalised(stream: Tensor, norm: nn.LayerNorm) -> Tensor:
    """`norm` of the stream (..., D)."""
    if not (_is_fused(stream) and _is_plain(norm)):
        plain: Tensor = norm(stream)
        return plain
    dtype = _dtype(stream)
    normed: Tensor = _add_norm(stream, None, None, None, 0.0, norm.weight, norm.bias, norm.eps, dtype)[1]
    return normed


def added_and_normalised(
    stream: Tensor, inputs: Tensor, linear: nn.Linear, dropout: float, norm: nn.LayerNorm, *, is_last: bool = False
) -> tuple[Tensor, Tensor]:
    """The stream (..., D) with `linear` of inputs (..., K) added, and `norm` of it.

    Args:
        dropout: share of the linear layer's numbers left out; the others grow to make up for it.
        is_last: nothing multiplies the normal form, which so stays in float32, or as precise as the stream is.
    """
    if not (_is_fused(stream, linear) and _is_plain(norm)):
        total = stream + F.dropout(linear(inputs), dropout)
        return total, norm(total)
    branch, seed = F.linear(inputs, linear.weight), dropout_seed(stream.device, dropout)
    dtype = torch.promote_types(stream.dtype, torch.float32) if is_last else _dtype(stream)
    total, normed, _ = _add_norm(stream, branch, linear.bias, seed, dropout, norm.weight, norm.bias, norm.eps, dtype)
    return total, normed


def added(stream: Tensor, inputs: Tensor, linear: nn.Linear, dropout: float) -> Tensor:
    """The stream (..., D) with `linear` of inputs (..., K) added, as `added_and_normalised` adds it."""
    if not _is_fused(stream, linear):
        return stream + F.dropout(linear(inputs), dropout)
    branch, seed = F.linear(inputs, linear.weight), dropout_seed(stream.device, dropout)
    total: Tensor = _add(stream, branch, linear.bias, seed, dropout)
    return total


def _is_fused(stream: Tensor, linear: nn.Linear | None = None) -> bool:
    is_fit = stream.shape[-1] <= WIDEST and stream.numel() > 0 and stream.dtype != torch.float64
    return has_kernels(stream) and is_fit and (linear is None or linear.bias is not None)


def _is_plain(norm: nn.LayerNorm) -> bool:
    """Over the last dimension, with weight and bias."""
    return len(norm.normalized_shape) == 1 and norm.elementwise_affine and norm.bias is not None


def _dtype(stream: Tensor) -> torch.dtype:
    """That the layers behind a normalisation multiply in."""
    device = stream.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else stream.dtype


@operator("add_norm")
def _add_norm(
    stream: Tensor, branch: Tensor | None, branch_bias: Tensor | None, seed: Tensor | None, p: float, weight: Tensor,
    bias: Tensor, eps: float, dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The total, which is empty without a branch; its normal form; mean and 1 / deviation of its rows."""
    from jepa_plugins.residual_kernels import add_norm

    total, normed, moments = _like_add_norm(stream, branch, branch_bias, seed, p, weight, bias, eps, dtype)
    num_rows, rows, sizes = _sizes(stream)
    add_norm[(-(-num_rows // rows),)](
        stream.contiguous(), None if branch is None else branch.contiguous(), branch_bias, seed, p, weight, bias, eps,
        total, normed, *moments, num_rows, stream.shape[-1],
        HAS_BRANCH=branch is not None, HAS_DROPOUT=p > 0, HAS_NORM=True, **sizes,
    )  # fmt: skip
    return total, normed, moments


@_add_norm.register_fake
def _like_add_norm(
    stream: Tensor, branch: Tensor | None, branch_bias: Tensor | None, seed: Tensor | None, p: float, weight: Tensor,
    bias: Tensor, eps: float, dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    total = stream.new_empty(0) if branch is None else _like_total(stream, branch)
    moments = stream.new_empty(2, *stream.shape[:-1], dtype=torch.float32)
    return total, torch.empty(stream.shape, dtype=dtype, device=stream.device), moments


@operator("add_norm_backward")
def _add_norm_backward(
    grad_total: Tensor | None, grad_normed: Tensor, total: Tensor, moments: Tensor, weight: Tensor,
    seed: Tensor | None, p: float, dtype: torch.dtype, branch_dtype: torch.dtype | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of stream, of the branch (empty without one), and of weight, bias and the branch's bias (3, D)."""
    from jepa_plugins.residual_kernels import add_norm_backward

    num_rows, rows, sizes = _sizes(total)
    num_blocks = -(-num_rows // rows)
    num_programs = min(_PROGRAMS, num_blocks)
    grad_stream, grad_branch = _like_grads(total, dtype, branch_dtype)
    partials = torch.empty(3, num_programs, len(weight), device=weight.device)
    add_norm_backward[(num_programs,)](
        None if grad_total is None else grad_total.contiguous(), grad_normed.contiguous(), total, *moments, weight,
        seed, p, grad_stream, grad_branch, *partials, num_rows, len(weight), num_blocks,
        HAS_TOTAL=grad_total is not None, HAS_BRANCH=branch_dtype is not None, HAS_DROPOUT=p > 0, **sizes,
    )  # fmt: skip
    return grad_stream, grad_branch, partials.sum(1).to(weight.dtype)


@_add_norm_backward.register_fake
def _(
    grad_total: Tensor | None, grad_normed: Tensor, total: Tensor, moments: Tensor, weight: Tensor,
    seed: Tensor | None, p: float, dtype: torch.dtype, branch_dtype: torch.dtype | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return *_like_grads(total, dtype, branch_dtype), weight.new_empty(3, len(weight))


def _like_grads(total: Tensor, dtype: torch.dtype, branch_dtype: torch.dtype | None) -> tuple[Tensor, Tensor]:
    of_branch = total.new_empty(0) if branch_dtype is None else total.new_empty(total.shape, dtype=branch_dtype)
    return total.new_empty(total.shape, dtype=dtype), of_branch


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    stream, branch, _, seed, ctx.p, weight, *_ = inputs
    total, _, moments = output
    ctx.dtypes = stream.dtype, None if branch is None else branch.dtype
    ctx.save_for_backward(stream if branch is None else total, moments, weight, seed)


def _differentiate(ctx: Any, grad_total: Tensor, grad_normed: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    total, moments, weight, seed = ctx.saved_tensors
    has_branch = ctx.dtypes[1] is not None
    of_stream, of_branch, of_vectors = _add_norm_backward(
        grad_total if has_branch else None, grad_normed, total.contiguous(), moments, weight, seed, ctx.p, *ctx.dtypes
    )
    of_weight, of_bias, of_branch_bias = of_vectors.unbind()
    of_layer = (of_branch, of_branch_bias) if has_branch else (None, None)
    return of_stream, *of_layer, None, None, of_weight, of_bias, None, None


_add_norm.register_autograd(_differentiate, setup_context=_keep)


@operator("add_branch")
def _add(stream: Tensor, branch: Tensor, branch_bias: Tensor, seed: Tensor | None, p: float) -> Tensor:
    from jepa_plugins.residual_kernels import add_norm

    total = _like_total(stream, branch)
    num_rows, rows, sizes = _sizes(stream)
    add_norm[(-(-num_rows // rows),)](
        stream.contiguous(), branch.contiguous(), branch_bias, seed, p, None, None, 0.0, total, None, None, None,
        num_rows, stream.shape[-1], HAS_BRANCH=True, HAS_DROPOUT=p > 0, HAS_NORM=False, **sizes,
    )  # fmt: skip
    return total


@_add.register_fake
def _(stream: Tensor, branch: Tensor, branch_bias: Tensor, seed: Tensor | None, p: float) -> Tensor:
    return _like_total(stream, branch)


def _like_total(stream: Tensor, branch: Tensor) -> Tensor:
    dtype = torch.promote_types(stream.dtype, branch.dtype)
    return torch.empty(stream.shape, dtype=dtype, device=stream.device)


@operator("add_branch_backward")
def _add_backward(
    grad: Tensor, branch_bias: Tensor, seed: Tensor | None, p: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Gradients of the branch and of its bias."""
    from jepa_plugins.residual_kernels import add_backward

    of_branch = torch.empty(grad.shape, dtype=dtype, device=grad.device)
    num_rows, rows, sizes = _sizes(grad)
    num_blocks = -(-num_rows // rows)
    num_programs = min(_PROGRAMS, num_blocks)
    partials = torch.empty(num_programs, grad.shape[-1], device=grad.device)
    add_backward[(num_programs,)](
        grad.contiguous(), seed, p, of_branch, partials, num_rows, grad.shape[-1], num_blocks,
        HAS_DROPOUT=p > 0, **sizes,
    )  # fmt: skip
    return of_branch, partials.sum(0).to(branch_bias.dtype)


@_add_backward.register_fake
def _(grad: Tensor, branch_bias: Tensor, seed: Tensor | None, p: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.empty(grad.shape, dtype=dtype, device=grad.device), torch.empty_like(branch_bias)


def _keep_seed(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    stream, branch, branch_bias, seed, ctx.p = inputs
    ctx.dtypes = stream.dtype, branch.dtype
    ctx.save_for_backward(branch_bias, seed)


def _differentiate_sum(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    branch_bias, seed = ctx.saved_tensors
    return grad.to(ctx.dtypes[0]), *_add_backward(grad, branch_bias, seed, ctx.p, ctx.dtypes[1]), None, None


_add.register_autograd(_differentiate_sum, setup_context=_keep_seed)


def _sizes(stream: Tensor) -> tuple[int, int, dict[str, int]]:
    """Rows of a tensor, rows of a program, and the kernels' blocks."""
    dim = stream.shape[-1]
    block = max(16, 1 << (dim - 1).bit_length())
    rows = max(1, _NUMBERS // block)
    return stream.numel() // dim, rows, {"ROWS": rows, "BLOCK": block, "num_warps": _WARPS}
