"""A linear layer with GELU behind it, whose bias and activation are one kernel on CUDA.

    y = z Φ(z)  with  z = W x + a                                               GELU, arXiv 1606.08415
    dz = dL/dy ∘ (Φ(z) + z φ(z)),   da = Σ dz

Φ and φ are the normal distribution and its density. For the way back W x alone is kept; it adds da up in a fixed order:
equal inputs give equal bits. Without Triton, and on the CPU, torch does the same in steps.

Shapes: rows of dimension H, in any leading shape.
"""

# A custom operator's implementation, its fake and its gradient have one list of arguments, given by place.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_plugins.triton_use import has_kernels, operator

_COLUMNS = 128
"""Of a program, at most: few are left over of a width that is not a power of two."""
_NUMBERS = 1024
"""Of a tensor, held by a program."""
_PROGRAMS = 2112
"""Of the way back: 16 for each of an H200's 132 multiprocessors."""
_WARPS = 4
"""Of a program."""


def activated(inputs: Tensor, linear: nn.Linear) -> Tensor:
    """GELU of `linear` of inputs (..., K): (..., H)."""
    bias: Tensor | None = linear.bias
    is_fit = inputs.numel() > 0 and inputs.dtype != torch.float64
    if bias is None or not (is_fit and has_kernels(inputs)):
        return F.gelu(linear(inputs))
    active: Tensor = _gelu(F.linear(inputs, linear.weight), bias)
    return active


@operator("biased_gelu")
def _gelu(product: Tensor, bias: Tensor) -> Tensor:
    from jepa_plugins.activation_kernels import biased_gelu

    active = torch.empty(product.shape, dtype=product.dtype, device=product.device)
    num_rows, num_blocks, num_columns, sizes = _sizes(product)
    biased_gelu[num_blocks, num_columns](product.contiguous(), bias, active, num_rows, len(bias), **sizes)
    return active


@_gelu.register_fake
def _(product: Tensor, bias: Tensor) -> Tensor:
    return torch.empty(product.shape, dtype=product.dtype, device=product.device)


@operator("biased_gelu_backward")
def _gelu_backward(grad: Tensor, product: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the product and of the bias."""
    from jepa_plugins.activation_kernels import biased_gelu_backward

    num_rows, num_blocks, num_columns, sizes = _sizes(product)
    num_programs = min(-(-_PROGRAMS // num_columns), num_blocks)
    of_product = torch.empty(product.shape, dtype=product.dtype, device=product.device)
    partials = torch.empty(num_programs, len(bias), device=bias.device)
    biased_gelu_backward[num_programs, num_columns](
        grad.contiguous(), product.contiguous(), bias, of_product, partials, num_rows, len(bias), num_blocks, **sizes
    )
    return of_product, partials.sum(0).to(bias.dtype)


@_gelu_backward.register_fake
def _(grad: Tensor, product: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    of_product = torch.empty(product.shape, dtype=product.dtype, device=product.device)
    return of_product, torch.empty_like(bias)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
    of_product, of_bias = _gelu_backward(grad, *ctx.saved_tensors)
    return of_product, of_bias


_gelu.register_autograd(_differentiate, setup_context=_keep)


def _sizes(product: Tensor) -> tuple[int, int, int, dict[str, int]]:
    """Rows of a tensor, blocks of rows and of columns, and the kernels' blocks."""
    dim = product.shape[-1]
    columns = min(_COLUMNS, max(16, 1 << (dim - 1).bit_length()))
    rows, num_rows = _NUMBERS // columns, product.numel() // dim
    return num_rows, -(-num_rows // rows), -(-dim // columns), {"ROWS": rows, "COLUMNS": columns, "num_warps": _WARPS}
