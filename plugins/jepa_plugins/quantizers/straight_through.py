"""Tokens become their codes, and the gradient goes to the tokens as if they had stayed (arXiv 1711.00937, 3.2).

    q_m = c_m, or 0 where no token is,   e_m = mean_d (x_m − c_m)²,
    dL/dx_m = dL/dq_m + dL/de_m · 2 (x_m − c_m) / D

with x zero, and no gradient, where no token is. On CUDA that is one Triton kernel each way.

Shapes: M tokens, D dimensions in G groups of d, K codes in a group's codebook.
"""

# A custom operator's implementation, its fake and its gradient have one list of arguments, given by place.
# ruff: noqa: ARG001, PLR0917

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_plugins.triton_use import has_kernels, operator

WIDEST = 4096
"""Dimensions of a token that a program holds."""
_NUMBERS = 2048
"""Of a tensor, held by a program."""


def straight_through(values: Tensor, mask: Tensor, codes_GM: Tensor, codebook_GKd: Tensor) -> tuple[Tensor, Tensor]:
    """Values (..., D) with mask (...) to quantized values (..., D) in their number format, and errors (...) in float32.

    Args:
        codes_GM: int64, 0 … K − 1, of the M tokens in the mask's order.
        codebook_GKd: float32.
    """
    if has_kernels(values) and values.shape[-1] <= WIDEST and mask.numel():
        fused: tuple[Tensor, Tensor] = _forward(values, mask, codes_GM, codebook_GKd)
        return fused
    num_codes = codebook_GKd.shape[1]
    first_G1 = torch.arange(0, num_codes * len(codes_GM), num_codes, device=codes_GM.device)[:, None]
    chosen_MD = F.embedding(codes_GM + first_G1, codebook_GKd.flatten(0, 1)).transpose(0, 1).flatten(1)
    tokens = torch.where(mask[..., None], values.float(), 0.0)
    chosen = chosen_MD.view_as(tokens)
    # Adding x − x keeps the codes exact, where x + (code − x) would round.
    quantized = torch.where(mask[..., None], chosen + (tokens - tokens.detach()), 0.0)
    return quantized.to(values.dtype), (tokens - chosen).square().mean(-1)


@operator("straight_through")
def _forward(values: Tensor, mask: Tensor, codes_GM: Tensor, codebook_GKd: Tensor) -> tuple[Tensor, Tensor]:
    from jepa_plugins.quantizers.straight_through_kernels import quantize

    quantized, errors = _like_forward(values, mask, codes_GM, codebook_GKd)
    grid, sizes = _sizes(values, codebook_GKd)
    quantize[grid](
        values.contiguous(), mask.contiguous().view(torch.uint8), codes_GM.contiguous(), codebook_GKd.contiguous(),
        quantized, errors, **sizes,
    )  # fmt: skip
    return quantized, errors


@_forward.register_fake
def _like_forward(values: Tensor, mask: Tensor, codes_GM: Tensor, codebook_GKd: Tensor) -> tuple[Tensor, Tensor]:
    quantized = torch.empty(values.shape, dtype=values.dtype, device=values.device)
    return quantized, torch.empty(mask.shape, device=values.device)


@operator("straight_through_backward")
def _backward(
    grad: Tensor, grad_errors: Tensor, values: Tensor, mask: Tensor, codes_GM: Tensor, codebook_GKd: Tensor
) -> Tensor:
    from jepa_plugins.quantizers.straight_through_kernels import quantize_backward

    grad_values = torch.empty(values.shape, dtype=values.dtype, device=values.device)
    grid, sizes = _sizes(values, codebook_GKd)
    quantize_backward[grid](
        grad.contiguous(), grad_errors.contiguous(), values.contiguous(), mask.contiguous().view(torch.uint8),
        codes_GM.contiguous(), codebook_GKd.contiguous(), grad_values, **sizes,
    )  # fmt: skip
    return grad_values


@_backward.register_fake
def _(
    grad: Tensor, grad_errors: Tensor, values: Tensor, mask: Tensor, codes_GM: Tensor, codebook_GKd: Tensor
) -> Tensor:
    return torch.empty(values.shape, dtype=values.dtype, device=values.device)


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad: Tensor, grad_errors: Tensor) -> tuple[Tensor | None, ...]:
    return _backward(grad, grad_errors, *ctx.saved_tensors), None, None, None


_forward.register_autograd(_differentiate, setup_context=_keep)


def _sizes(values: Tensor, codebook_GKd: Tensor) -> tuple[tuple[int], dict[str, int]]:
    """Programs, and the kernels' sizes."""
    dim = values.shape[-1]
    block = 1 << (dim - 1).bit_length()
    num_rows, rows = values.numel() // dim, max(1, _NUMBERS // block)
    _, num_codes, group_dim = codebook_GKd.shape
    sizes = {"num_rows": num_rows, "dim": dim, "num_codes": num_codes, "group_dim": group_dim}
    return (-(-num_rows // rows),), {**sizes, "ROWS": rows, "BLOCK": block, "num_warps": 2}
