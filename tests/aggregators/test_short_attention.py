"""The attention kernel against its formula in float64: on a GPU, or on the CPU through Triton's interpreter."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from jepa_plugins.short_attention import _grid, is_short, short_attention, short_self_attention
from tests.triton_kernels import DEVICE, IS_ON_GPU, needs_triton

cases = pytest.mark.parametrize(
    ("sequences", "queries", "keys", "heads", "dim"),
    [(3, 16, 16, 6, 64), (2, 5, 9, 2, 17), (2, 1, 48, 4, 32), (1, 33, 64, 1, 128), (4, 2, 3, 1, 1)],
)


def formula(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor, kept: Tensor | float = 1.0) -> Tensor:
    """(B, Q, H, d); `kept` multiplies weights (B, H, Q, K)."""
    scores = torch.einsum("bqhd,bkhd->bhqk", queries, keys) / math.sqrt(queries.shape[-1])
    weights = scores.masked_fill(~allowed[:, None], -torch.inf).softmax(-1) * kept
    return torch.einsum("bhqk,bkhd->bqhd", weights, values)


def drawn(sequences: int, queries: int, keys: int, heads: int, dim: int) -> tuple[Tensor, ...]:
    """Queries, keys and values as slices of one tensor, as a layer makes them, a mask, and a gradient."""
    made = torch.randn(sequences, queries, heads, dim, device=DEVICE)
    both = torch.randn(sequences, keys, 2 * heads * dim, device=DEVICE).chunk(2, -1)
    allowed = torch.rand(sequences, queries, keys, device=DEVICE) < 0.6
    allowed[..., 0] = True
    return made, *(part.unflatten(-1, (heads, dim)) for part in both), allowed, torch.randn_like(made)


def leaves(*tensors: Tensor, dtype: torch.dtype) -> list[Tensor]:
    return [tensor.detach().to(dtype).requires_grad_() for tensor in tensors]


def require_same(mixed: Tensor, ours: list[Tensor], expected: Tensor, exact: list[Tensor], grad: Tensor) -> None:
    """Outputs, and the gradients that `grad` gives of their inputs."""
    torch.testing.assert_close(mixed.double(), expected, rtol=1e-5, atol=1e-5)
    mixed.backward(grad)
    expected.backward(grad.double())
    for mine, theirs in zip(ours, exact, strict=True):
        assert mine.grad is not None
        torch.testing.assert_close(mine.grad.double(), theirs.grad, rtol=1e-5, atol=1e-5)


@needs_triton
@cases
def test_it_is_the_formula_forward_and_backward(sequences: int, queries: int, keys: int, heads: int, dim: int) -> None:
    *inputs, allowed, grad = drawn(sequences, queries, keys, heads, dim)
    ours, exact = leaves(*inputs, dtype=torch.float32), leaves(*inputs, dtype=torch.float64)
    mixed = short_attention(ours[0], ours[1], ours[2], allowed, 0.0)
    expected = formula(exact[0], exact[1], exact[2], allowed)
    require_same(mixed, ours, expected, exact, grad)


@needs_triton
@pytest.mark.parametrize(
    ("sequences", "tokens", "heads", "dim"), [(3, 16, 6, 64), (2, 5, 2, 17), (1, 33, 1, 128), (2, 1, 3, 1)]
)
def test_from_one_tensor_it_is_the_same_and_gives_one_gradient(
    sequences: int, tokens: int, heads: int, dim: int
) -> None:
    *_, allowed, grad = drawn(sequences, tokens, tokens, heads, dim)
    (ours,), (exact,) = (
        leaves(made, dtype=dtype)
        for made in [torch.randn(sequences, tokens, 3, heads, dim, device=DEVICE)]
        for dtype in (torch.float32, torch.float64)
    )
    queries, keys, values = exact.unbind(2)
    expected = formula(queries, keys, values, allowed)
    require_same(short_self_attention(ours, allowed, 0.0), [ours], expected, [exact], grad)


@needs_triton
def test_a_mask_may_be_the_same_for_all_queries_or_all_sequences() -> None:
    queries, keys, values, allowed, _ = drawn(2, 4, 6, 2, 8)
    for mask in (allowed[:1], allowed[:, :1]):
        expected = formula(queries, keys, values, mask.expand(2, 4, 6))
        torch.testing.assert_close(short_attention(queries, keys, values, mask, 0.0), expected, rtol=1e-4, atol=1e-5)


@needs_triton
def test_dropout_leaves_out_the_same_weights_on_the_way_back() -> None:
    share, (queries, keys, _, allowed, _) = 0.3, drawn(4, 16, 16, 2, 16)
    # Values that are unit vectors show the weights themselves.
    unit = torch.eye(16, device=DEVICE)[None, :, None].expand(4, 16, 2, 16)
    torch.manual_seed(0)
    ours = leaves(queries, keys, unit, dtype=torch.float32)
    dropped = short_attention(ours[0], ours[1], ours[2], allowed, share)
    kept = (dropped.detach() != 0).transpose(1, 2)
    possible = allowed[:, None].expand_as(kept)
    assert 0.6 < kept[possible].float().mean() < 0.8
    exact = leaves(queries, keys, unit, dtype=torch.float64)
    expected = formula(exact[0], exact[1], exact[2], allowed, kept / (1 - share))
    require_same(dropped, ours, expected, exact, torch.randn_like(dropped))


@needs_triton
def test_seeds_decide_what_is_left_out() -> None:
    queries, keys, values, allowed, _ = drawn(2, 8, 8, 2, 8)
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(short_attention(queries, keys, values, allowed, 0.5))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_on_the_cpu_and_for_long_texts_it_is_not_asked() -> None:
    short = torch.zeros(1, 8, 1, 8)
    assert not is_short(short, short, 1)
    if IS_ON_GPU:
        long = torch.zeros(1, 65, 1, 8, device=DEVICE)
        assert is_short(short.to(DEVICE), short.to(DEVICE), 1)
        assert not is_short(short.to(DEVICE), long, 1)


def test_there_may_be_more_sequences_than_cuda_takes_programs_side_by_side() -> None:
    """2¹⁶ − 1 along any dimension of a grid but the first."""
    grid: tuple[int, ...] = _grid(torch.empty(70_000, 1, 3, 8, device="meta"))
    assert grid[0] == 210_000
    assert all(size < 2**16 for size in grid[1:])
