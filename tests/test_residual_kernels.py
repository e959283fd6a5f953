"""The residual stream's kernels against their formula in float64: on a GPU, or through Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_plugins import residual
from jepa_plugins.residual import added, added_and_normalised, normalised
from jepa_plugins.transformer import TransformerBlock
from tests.triton_kernels import DEVICE, needs_triton

pytestmark = needs_triton
SHAPES = [(2, 3, 16), (5, 384), (1, 1), (1, 37, 100), (3, 700)]


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual, "has_kernels", lambda _: True)


def a_norm(dim: int) -> nn.LayerNorm:
    norm = nn.LayerNorm(dim, device=DEVICE)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sum_and_its_normal_form_are_those_of_the_formula(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    norm = a_norm(shape[-1])
    stream, branch = (torch.randn(shape, device=DEVICE, dtype=dtype) for _ in range(2))

    def ours(x: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        return *added_and_normalised(x, b, 0.0, norm), normalised(x, norm)

    def formula(x: Tensor, b: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        total = x + b
        rounded = total + (total.to(dtype).double() - total).detach()
        return total, *(F.layer_norm(y, shape[-1:], weight, bias) for y in (rounded, x))

    leaves = [x.detach().clone().requires_grad_() for x in (stream, branch)]
    exact = [x.detach().double().requires_grad_() for x in (stream, branch)]
    weights = [norm.weight.detach().double().requires_grad_(), norm.bias.detach().double().requires_grad_()]
    results, expected = ours(*leaves), formula(*exact, *weights)
    grads = [torch.randn_like(result) for result in results]
    torch.autograd.backward(results, grads)
    torch.autograd.backward(expected, [grad.double() for grad in grads])
    tolerance = 1e-4 if dtype == torch.float32 else 4e-2
    for mine, theirs in (
        *zip(results, expected, strict=True),
        *((a.grad, b.grad) for a, b in zip(leaves, exact, strict=True)),
        *((a.grad, b.grad) for a, b in zip(norm.parameters(), weights, strict=True)),
    ):
        assert mine is not None
        assert theirs is not None
        torch.testing.assert_close(mine.detach().double(), theirs.detach(), rtol=tolerance, atol=tolerance)


def test_dropout_leaves_out_its_share_and_the_way_back_the_same_numbers() -> None:
    share, shape = 0.3, (40, 96)
    branch = torch.ones(shape, device=DEVICE, requires_grad=True)
    total, _ = added_and_normalised(torch.zeros(shape, device=DEVICE), branch, share, a_norm(96))
    plain = added(torch.zeros(shape, device=DEVICE), branch, share)
    for result in (total, plain):
        (grad,) = torch.autograd.grad(result.sum(), branch, retain_graph=True)
        assert torch.equal(grad, result.detach())
        assert result.detach().unique().tolist() == pytest.approx([0.0, 1 / (1 - share)])
        assert float((grad == 0).float().mean()) == pytest.approx(share, abs=0.03)
    assert not torch.equal(total, plain)


def test_every_place_of_a_row_is_dropped_as_often() -> None:
    share, rows = 0.5, 600
    dropped = added(torch.zeros(rows, 24, device=DEVICE), torch.ones(rows, 24, device=DEVICE), share) == 0
    # Four standard deviations of a share of 600 tosses are 0.08.
    assert (dropped.float().mean(0) - share).abs().max() < 0.1
    together = (dropped[:, :, None] & dropped[:, None, :]).float().mean(0)
    assert (together[~torch.eye(24, dtype=torch.bool, device=DEVICE)] - share**2).abs().max() < 0.1


def test_a_block_with_kernels_is_the_block_without(monkeypatch: pytest.MonkeyPatch) -> None:
    block = TransformerBlock(24, heads=3, dropout=0.0, mlp_ratio=2.0).to(DEVICE)
    stream = torch.randn(2, 5, 24, device=DEVICE)
    allowed = torch.ones(2, 5, 5, dtype=torch.bool, device=DEVICE)
    with_kernels = block(stream, stream, allowed)
    monkeypatch.setattr(residual, "has_kernels", lambda _: False)
    torch.testing.assert_close(with_kernels, block(stream, stream, allowed), rtol=1e-4, atol=1e-5)
