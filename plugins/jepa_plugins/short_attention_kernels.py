"""The two kernels of `jepa_plugins.short_attention`, which has the mathematics. Needs Triton.

Pointers first, then strides of (B, N, H) for each tensor and of (B, Q, K) for the mask, then sizes. A program is a head
of a sequence.
"""

# Triton's arguments have the types of the call, and are given by place.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
# ruff: noqa: PLR0917

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _rows(
    pointer, sequence, head, stride_b, stride_n, stride_h, num, dim, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr
):
    """Pointers to (BLOCK_N, BLOCK_D) of one head, and which of them are there."""
    row, column = tl.arange(0, BLOCK_N)[:, None], tl.arange(0, BLOCK_D)[None, :]
    start = pointer + sequence.to(tl.int64) * stride_b + head * stride_h
    return start + row * stride_n + column, (row < num) & (column < dim)


@triton.jit
def _weights(queries, keys, allowed, sequence, stride_b, stride_q, stride_k, scale, num_queries, num_keys,
             BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr):  # fmt: skip
    """P in float32, zero for keys that are not there. A query that is not there sees all keys, so that P is finite."""
    row, column = tl.arange(0, BLOCK_Q)[:, None], tl.arange(0, BLOCK_K)[None, :]
    there = allowed + sequence.to(tl.int64) * stride_b + row * stride_q + column * stride_k
    is_allowed = tl.load(there, mask=(row < num_queries) & (column < num_keys), other=1) != 0
    scores = tl.dot(queries, tl.trans(keys), input_precision="ieee") * scale
    scores = tl.where(is_allowed & (column < num_keys), scores, float("-inf"))
    raised = tl.exp(scores - tl.max(scores, 1)[:, None])
    return raised / tl.sum(raised, 1)[:, None]


@triton.jit
def _kept(seed, p, program, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr):
    """1 / (1 − p) where dropout keeps a weight, else 0; every program has a sequence of random numbers of its own."""
    offset = tl.arange(0, BLOCK_Q)[:, None] * BLOCK_K + tl.arange(0, BLOCK_K)[None, :]
    return tl.where(tl.rand(tl.load(seed) + program, offset) >= p, 1 / (1 - p), 0.0)


@triton.jit
def attend(
    queries, keys, values, mixed, allowed, seed, p, scale,
    q_b, q_n, q_h, k_b, k_n, k_h, v_b, v_n, v_h, o_b, o_n, o_h, a_b, a_q, a_k,
    num_heads, num_queries, num_keys, dim,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr, HAS_DROPOUT: tl.constexpr,
):  # fmt: skip
    """O of one head of one sequence."""
    head, sequence = tl.program_id(0) % num_heads, tl.program_id(0) // num_heads
    q_at, q_there = _rows(queries, sequence, head, q_b, q_n, q_h, num_queries, dim, BLOCK_Q, BLOCK_D)
    k_at, k_there = _rows(keys, sequence, head, k_b, k_n, k_h, num_keys, dim, BLOCK_K, BLOCK_D)
    v_at, _ = _rows(values, sequence, head, v_b, v_n, v_h, num_keys, dim, BLOCK_K, BLOCK_D)
    q, k = tl.load(q_at, mask=q_there, other=0.0), tl.load(k_at, mask=k_there, other=0.0)
    v = tl.load(v_at, mask=k_there, other=0.0)
    weights = _weights(q, k, allowed, sequence, a_b, a_q, a_k, scale, num_queries, num_keys, BLOCK_Q, BLOCK_K)
    if HAS_DROPOUT:
        weights *= _kept(seed, p, tl.program_id(0), BLOCK_Q, BLOCK_K)
    o_at, _ = _rows(mixed, sequence, head, o_b, o_n, o_h, num_queries, dim, BLOCK_Q, BLOCK_D)
    tl.store(o_at, tl.dot(weights.to(v.dtype), v, input_precision="ieee").to(v.dtype), mask=q_there)


@triton.jit
def attend_backward(
    queries, keys, values, grad, grad_queries, grad_keys, grad_values, allowed, seed, p, scale,
    q_b, q_n, q_h, k_b, k_n, k_h, v_b, v_n, v_h, g_b, g_n, g_h,
    gq_b, gq_n, gq_h, gk_b, gk_n, gk_h, gv_b, gv_n, gv_h, a_b, a_q, a_k,
    num_heads, num_queries, num_keys, dim,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr, HAS_DROPOUT: tl.constexpr,
):  # fmt: skip
    """dQ, dK and dV of one head of one sequence."""
    head, sequence = tl.program_id(0) % num_heads, tl.program_id(0) // num_heads
    q_at, q_there = _rows(queries, sequence, head, q_b, q_n, q_h, num_queries, dim, BLOCK_Q, BLOCK_D)
    k_at, k_there = _rows(keys, sequence, head, k_b, k_n, k_h, num_keys, dim, BLOCK_K, BLOCK_D)
    v_at, _ = _rows(values, sequence, head, v_b, v_n, v_h, num_keys, dim, BLOCK_K, BLOCK_D)
    g_at, _ = _rows(grad, sequence, head, g_b, g_n, g_h, num_queries, dim, BLOCK_Q, BLOCK_D)
    q, k = tl.load(q_at, mask=q_there, other=0.0), tl.load(k_at, mask=k_there, other=0.0)
    v, g = tl.load(v_at, mask=k_there, other=0.0), tl.load(g_at, mask=q_there, other=0.0)
    weights = _weights(q, k, allowed, sequence, a_b, a_q, a_k, scale, num_queries, num_keys, BLOCK_Q, BLOCK_K)
    grad_weights = tl.dot(g, tl.trans(v), input_precision="ieee")
    dropped = weights
    if HAS_DROPOUT:
        kept = _kept(seed, p, tl.program_id(0), BLOCK_Q, BLOCK_K)
        grad_weights *= kept
        dropped = weights * kept
    inner = tl.sum(weights * grad_weights, 1)[:, None]
    grad_scores = (weights * (grad_weights - inner) * scale).to(q.dtype)
    gq_at, _ = _rows(grad_queries, sequence, head, gq_b, gq_n, gq_h, num_queries, dim, BLOCK_Q, BLOCK_D)
    gk_at, _ = _rows(grad_keys, sequence, head, gk_b, gk_n, gk_h, num_keys, dim, BLOCK_K, BLOCK_D)
    gv_at, _ = _rows(grad_values, sequence, head, gv_b, gv_n, gv_h, num_keys, dim, BLOCK_K, BLOCK_D)
    tl.store(gq_at, tl.dot(grad_scores, k, input_precision="ieee").to(q.dtype), mask=q_there)
    tl.store(gk_at, tl.dot(tl.trans(grad_scores), q, input_precision="ieee").to(k.dtype), mask=k_there)
    tl.store(gv_at, tl.dot(tl.trans(dropped.to(v.dtype)), g, input_precision="ieee").to(v.dtype), mask=k_there)
