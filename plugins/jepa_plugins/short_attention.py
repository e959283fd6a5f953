"""Attention over a handful of tokens in one Triton kernel each way, for CUDA.

A library's attention works in tiles of 64 × 128 queries and keys, made for long texts: of an observation's 16 tokens
nine tenths of a tile are padding. Here one program holds a head of one sequence whole, in registers:

    S = Q Kᵀ / √d,  P = softmax(S where allowed),  O = (P ∘ M / (1 − p)) V         with a drawn mask M of dropout p
    dV = (P ∘ M / (1 − p))ᵀ dO,  dP = (dO Vᵀ) ∘ M / (1 − p),  dS = P ∘ (dP − rowsum(P ∘ dP)),
    dQ = dS K / √d,  dK = dSᵀ Q / √d

The way back draws the same M from the same seed and computes P again, so that neither is stored, and adds nothing up
across programs: equal inputs give equal bits. Softmax is in float32, products in the inputs' number format.

Shapes: B sequences, Q queries, K keys, H heads, d dimension of a head.
"""

# A custom operator's implementation, its fake and its gradient have one list of arguments, given by place.
# ruff: noqa: ARG001, PLR0917

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from jepa_plugins.triton_use import dropout_seed, has_kernels, operator

LONGEST = 64
"""Queries or keys that a program holds."""
WIDEST = 128
"""Dimension of a head that a program holds."""


def is_short(queries: Tensor, keys: Tensor, heads: int) -> bool:
    """Whether `short_attention` takes queries (B, Q, …) and keys (B, K, …) of that many heads, on their device."""
    lengths, dim = (queries.shape[1], keys.shape[1]), math.prod(queries.shape[2:]) // heads
    return has_kernels(queries) and min(lengths) > 0 and max(lengths) <= LONGEST and dim <= WIDEST


def short_attention(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor, dropout: float) -> Tensor:
    """(B, Q, H, d) of queries (B, Q, H, d), keys and values (B, K, H, d).

    Args:
        allowed: bool, broadcasts to (B, Q, K); every query sees at least one key.
        dropout: share of the weights left out; the others grow to make up for it.
    """
    queries, keys, values = (part if part.stride(-1) == 1 else part.contiguous() for part in (queries, keys, values))
    allowed = allowed.expand(len(queries), queries.shape[1], keys.shape[1])
    seed = dropout_seed(queries.device, dropout)
    mixed: Tensor = _forward(queries, keys, values, allowed, seed, dropout)
    return mixed


def short_self_attention(qkv: Tensor, allowed: Tensor, dropout: float) -> Tensor:
    """(B, N, H, d) of queries, keys and values in one tensor (B, N, 3, H, d), whose gradient is one tensor, too.

    Arguments are those of `short_attention`.
    """
    qkv = qkv if qkv.stride(-1) == 1 else qkv.contiguous()
    allowed = allowed.expand(len(qkv), qkv.shape[1], qkv.shape[1])
    mixed: Tensor = _self_forward(qkv, allowed, dropout_seed(qkv.device, dropout), dropout)
    return mixed


@operator("short_attention")
def _forward(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor, seed: Tensor | None, p: float) -> Tensor:
    return _attended(queries, keys, values, allowed, seed, p)


def _attended(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor, seed: Tensor | None, p: float) -> Tensor:
    from jepa_plugins.short_attention_kernels import attend

    mixed = torch.empty(queries.shape, dtype=queries.dtype, device=queries.device)
    attend[_grid(queries)](
        queries, keys, values, mixed, allowed.view(torch.uint8), seed, p, 1 / math.sqrt(queries.shape[-1]),
        *_strides(queries, keys, values, mixed), *allowed.stride(), **_sizes(queries, keys, p),
    )  # fmt: skip
    return mixed


@operator("short_attention_backward")
def _backward(
    grad: Tensor, queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor, seed: Tensor | None, p: float
) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = (torch.empty(part.shape, dtype=part.dtype, device=part.device) for part in (queries, keys, values))
    _differentiate_into((q, k, v), grad, (queries, keys, values), allowed, seed, p)
    return q, k, v


def _differentiate_into(
    grads: tuple[Tensor, ...], grad: Tensor, parts: tuple[Tensor, ...], allowed: Tensor, seed: Tensor | None, p: float
) -> None:
    """Write the gradients of queries, keys and values, `parts`."""
    from jepa_plugins.short_attention_kernels import attend_backward

    queries, keys, _ = parts
    grad = grad if grad.stride(-1) == 1 else grad.contiguous()
    attend_backward[_grid(queries)](
        *parts, grad, *grads, allowed.view(torch.uint8), seed, p, 1 / math.sqrt(queries.shape[-1]),
        *_strides(*parts, grad, *grads), *allowed.stride(), **_sizes(queries, keys, p),
    )  # fmt: skip


@_forward.register_fake
def _(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor, seed: Tensor | None, p: float) -> Tensor:
    return torch.empty(queries.shape, dtype=queries.dtype, device=queries.device)


@_backward.register_fake
def _(
    grad: Tensor,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    allowed: Tensor,
    seed: Tensor | None,
    p: float,
) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = (torch.empty(part.shape, dtype=part.dtype, device=part.device) for part in (queries, keys, values))
    return q, k, v


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.p = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return *_backward(grad, *ctx.saved_tensors, ctx.p), None, None, None


_forward.register_autograd(_differentiate, setup_context=_keep)


@operator("short_self_attention")
def _self_forward(qkv: Tensor, allowed: Tensor, seed: Tensor | None, p: float) -> Tensor:
    queries, keys, values = qkv.unbind(2)
    return _attended(queries, keys, values, allowed, seed, p)


@_self_forward.register_fake
def _(qkv: Tensor, allowed: Tensor, seed: Tensor | None, p: float) -> Tensor:
    return torch.empty(qkv[:, :, 0].shape, dtype=qkv.dtype, device=qkv.device)


@operator("short_self_attention_backward")
def _self_backward(grad: Tensor, qkv: Tensor, allowed: Tensor, seed: Tensor | None, p: float) -> Tensor:
    of_qkv = torch.empty(qkv.shape, dtype=qkv.dtype, device=qkv.device)
    _differentiate_into(of_qkv.unbind(2), grad, qkv.unbind(2), allowed, seed, p)
    return of_qkv


@_self_backward.register_fake
def _(grad: Tensor, qkv: Tensor, allowed: Tensor, seed: Tensor | None, p: float) -> Tensor:
    return torch.empty(qkv.shape, dtype=qkv.dtype, device=qkv.device)


def _differentiate_self(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _self_backward(grad, *ctx.saved_tensors, ctx.p), None, None, None


_self_forward.register_autograd(_differentiate_self, setup_context=_keep)


def _grid(queries: Tensor) -> tuple[int]:
    """A program for each head of each sequence; heads of a sequence run side by side, and share its cache lines.

    In one dimension: CUDA takes at most 65,535 programs along any other.
    """
    return (queries.shape[2] * queries.shape[0],)


def _strides(*parts: Tensor) -> list[int]:
    """Of (B, N, H) of each; the last dimension is contiguous."""
    return [stride for part in parts for stride in part.stride()[:3]]


def _sizes(queries: Tensor, keys: Tensor, p: float) -> dict[str, Any]:
    """Sizes as they are, and as blocks: powers of two, of at least 16 as tensor cores take them."""
    num_queries, num_keys, dim = queries.shape[1], keys.shape[1], queries.shape[-1]
    blocks = [max(16, 1 << (size - 1).bit_length()) for size in (num_queries, num_keys, dim)]
    longest = max(blocks[:2])
    return {
        "num_heads": queries.shape[2], "num_queries": num_queries, "num_keys": num_keys, "dim": dim,
        "BLOCK_Q": blocks[0], "BLOCK_K": blocks[1], "BLOCK_D": blocks[2],
        "HAS_DROPOUT": p > 0, "num_warps": {16: 1, 32: 2, 64: 4}[longest],
    }  # fmt: skip
