"""The kernels of a residual stream and of GELU against their formula in float64, on a GPU or interpreted."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_plugins import activation, residual, short_attention
from jepa_plugins.activation import activated
from jepa_plugins.residual import added, added_and_normalised, normalised
from jepa_plugins.transformer import TransformerBlock, self_attended
from tests.triton_kernels import DEVICE, needs_triton

pytestmark = needs_triton
SHAPES = [(2, 3, 16), (5, 384), (1, 1), (1, 37, 100), (3, 700)]


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (residual, activation, short_attention):
        monkeypatch.setattr(module, "has_kernels", lambda _: True)


def a_norm(dim: int) -> nn.LayerNorm:
    norm = nn.LayerNorm(dim, device=DEVICE)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def a_linear(dim: int, dtype: torch.dtype) -> nn.Linear:
    """With weights of which every sum over a row is near one."""
    linear = nn.Linear(dim, dim, device=DEVICE, dtype=dtype)
    nn.init.normal_(linear.weight, std=dim**-0.5)
    nn.init.normal_(linear.bias)
    return linear


def require_near(mine: Tensor, theirs: Tensor, dtype: torch.dtype) -> None:
    """By the norm of the difference: a single number in bf16 may be off by more."""
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    difference, size = float((mine.detach().double() - theirs.detach()).norm()), float(theirs.detach().norm())
    assert difference <= tolerance * (size + 1)


def identity(dim: int) -> nn.Linear:
    linear = nn.Linear(dim, dim, device=DEVICE)
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sum_and_its_normal_form_are_those_of_the_formula(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    norm = a_norm(shape[-1])
    stream, inputs = (torch.randn(shape, device=DEVICE, dtype=dtype) for _ in range(2))
    linear = a_linear(shape[-1], dtype)

    def ours(x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        return *added_and_normalised(x, h, linear, 0.0, norm), normalised(x, norm), added(x, h, linear, 0.0)

    def formula(x: Tensor, h: Tensor, weight: Tensor, bias: Tensor, *of_linear: Tensor) -> tuple[Tensor, ...]:
        total = x + F.linear(h, *of_linear)
        rounded = total + (total.to(dtype).double() - total).detach()
        return total, *(F.layer_norm(y, shape[-1:], weight, bias) for y in (rounded, x)), total

    leaves = [x.detach().clone().requires_grad_() for x in (stream, inputs)]
    exact = [x.detach().double().requires_grad_() for x in (stream, inputs)]
    own = [*norm.parameters(), *linear.parameters()]
    weights = [parameter.detach().double().requires_grad_() for parameter in own]
    results, expected = ours(*leaves), formula(*exact, *weights)
    grads = [torch.randn_like(result) for result in results]
    torch.autograd.backward(results, grads)
    torch.autograd.backward(expected, [grad.double() for grad in grads])
    for mine, theirs in (
        *zip(results, expected, strict=True),
        *((a.grad, b.grad) for a, b in zip(leaves, exact, strict=True)),
        *((a.grad, b.grad) for a, b in zip(own, weights, strict=True)),
    ):
        assert mine is not None
        assert theirs is not None
        require_near(mine, theirs, dtype)


def test_dropout_leaves_out_its_share_and_the_way_back_the_same_numbers() -> None:
    share, shape = 0.3, (40, 96)
    inputs, linear = torch.ones(shape, device=DEVICE, requires_grad=True), identity(96)
    total, _ = added_and_normalised(torch.zeros(shape, device=DEVICE), inputs, linear, share, a_norm(96))
    plain = added(torch.zeros(shape, device=DEVICE), inputs, linear, share)
    for result in (total, plain):
        grad, of_bias = torch.autograd.grad(result.sum(), [inputs, linear.bias], retain_graph=True)
        assert torch.equal(grad, result.detach())
        torch.testing.assert_close(of_bias, grad.sum(0))
        assert result.detach().unique().tolist() == pytest.approx([0.0, 1 / (1 - share)])
        assert float((grad == 0).float().mean()) == pytest.approx(share, abs=0.03)
    assert not torch.equal(total, plain)


def test_every_place_of_a_row_is_dropped_as_often() -> None:
    share, rows = 0.5, 600
    zeros, ones = torch.zeros(rows, 24, device=DEVICE), torch.ones(rows, 24, device=DEVICE)
    dropped = added(zeros, ones, identity(24), share) == 0
    # Four standard deviations of a share of 600 tosses are 0.08.
    assert (dropped.float().mean(0) - share).abs().max() < 0.1
    together = (dropped[:, :, None] & dropped[:, None, :]).float().mean(0)
    assert (together[~torch.eye(24, dtype=torch.bool, device=DEVICE)] - share**2).abs().max() < 0.1


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("has_norm", [True, False])
def test_blocks_with_kernels_are_the_blocks_without(
    layers: int, has_norm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = nn.ModuleList(TransformerBlock(24, heads=3, dropout=0.0, mlp_ratio=2.0) for _ in range(layers)).to(DEVICE)
    norm = a_norm(24) if has_norm else None
    stream = torch.randn(2, 5, 24, device=DEVICE, requires_grad=True)
    allowed = torch.rand(2, 5, 5, device=DEVICE) < 0.5
    allowed |= torch.eye(5, dtype=torch.bool, device=DEVICE)
    moved = [stream, *blocks.parameters(), *(norm.parameters() if norm else ())]

    def results() -> tuple[Tensor, ...]:
        tokens = self_attended(blocks, stream, allowed, norm)
        return tokens, *torch.autograd.grad((tokens**2).sum(), moved)

    with_kernels = results()
    for module in (residual, activation, short_attention):
        monkeypatch.setattr(module, "has_kernels", lambda _: False)
    torch.testing.assert_close(with_kernels, results(), rtol=1e-4, atol=1e-4)
    plain = stream
    for block in blocks:
        plain = block(plain, plain, allowed)
    torch.testing.assert_close(with_kernels[0], norm(plain) if norm else plain, rtol=1e-4, atol=1e-4)


def test_a_block_with_a_memory_of_its_own_is_the_block_without(monkeypatch: pytest.MonkeyPatch) -> None:
    block = TransformerBlock(24, heads=3, dropout=0.0, mlp_ratio=2.0).to(DEVICE)
    stream, memory = torch.randn(2, 5, 24, device=DEVICE), torch.randn(2, 7, 24, device=DEVICE)
    allowed = torch.ones(2, 1, 7, dtype=torch.bool, device=DEVICE)
    with_kernels = block(stream, memory, allowed)
    for module in (residual, activation, short_attention):
        monkeypatch.setattr(module, "has_kernels", lambda _: False)
    torch.testing.assert_close(with_kernels, block(stream, memory, allowed), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 5, 16), (7, 48), (1, 1), (2, 700)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_linear_layer_with_gelu_is_that_of_the_formula(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    linear, inputs = a_linear(shape[-1], dtype), torch.randn(shape, device=DEVICE, dtype=dtype, requires_grad=True)
    grad = torch.randn(shape, device=DEVICE, dtype=dtype)
    ours = activated(inputs, linear)
    exact = [each.detach().double().requires_grad_() for each in (inputs, *linear.parameters())]
    z = F.linear(exact[0], exact[1], exact[2])
    expected = z * (1 + torch.erf(z / 2**0.5)) / 2
    mine = [ours, *torch.autograd.grad(ours, [inputs, *linear.parameters()], grad)]
    theirs = [expected, *torch.autograd.grad(expected, exact, grad.double())]
    for one, other in zip(mine, theirs, strict=True):
        assert one.dtype == dtype
        require_near(one, other, dtype)
