"""What holds for every built-in quantizer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jepa_core.contracts import Quantized
from jepa_core.facts import QuantizerFacts
from jepa_plugins.quantizers.ema_vq import EmaVqConfig
from jepa_plugins.quantizers.fsq import FsqConfig
from jepa_plugins.quantizers.none import NoneConfig

DIM = 6

CONFIGS: list[NoneConfig | EmaVqConfig | FsqConfig] = [
    NoneConfig(),
    EmaVqConfig(codes=5),
    EmaVqConfig(codes=5, groups=2, revive_at_most=0),
    FsqConfig(levels=(4, 3)),
    FsqConfig(levels=(4, 3), groups=2),
]


@pytest.fixture(params=CONFIGS, ids=str)
def quantizer(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    module = request.param.build(QuantizerFacts(embedding_dim=DIM))
    assert isinstance(module, nn.Module)
    return module


def tokens(*, requires_grad: bool = False) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    values = torch.randn(3, 2, 4, DIM)
    mask = torch.rand(3, 2, 4) > 0.4
    mask[0, 0] = False
    return (values * mask[..., None]).requires_grad_(requires_grad), mask


def quantized_by(quantizer: Callable[..., Any], values: Tensor, mask: Tensor, *, collect: bool = True) -> Quantized:
    torch.manual_seed(2)
    result = quantizer(values, mask, collect=collect)
    assert isinstance(result, Quantized)
    return result


def test_the_shape_stays_and_masked_tokens_are_zero(quantizer: nn.Module) -> None:
    values, mask = tokens()
    result = quantized_by(quantizer, values, mask)
    assert result.values.shape == values.shape
    assert result.values.dtype == values.dtype
    assert (result.values[~mask] == 0).all()
    assert result.loss.shape == ()


def test_codes_number_all_codebooks_through_and_are_minus_one_where_masked(quantizer: nn.Module) -> None:
    values, mask = tokens()
    codes = quantized_by(quantizer, values, mask).codes
    num_codes = quantizer.num_codes
    assert isinstance(num_codes, int)
    if codes is None:
        assert num_codes == 0
        return
    assert codes.dtype == torch.int64
    assert codes.shape in {mask.shape, (*mask.shape, 2)}
    assert (codes[~mask] == -1).all()
    assert (codes[mask] >= 0).all()
    assert (codes[mask] < num_codes).all()


def test_what_stands_in_masked_slots_has_no_influence(quantizer: nn.Module) -> None:
    values, mask = tokens()
    soiled = torch.where(mask[..., None], values, torch.nan)
    clean, dirty = quantized_by(quantizer, values, mask), quantized_by(quantizer, soiled, mask)
    assert torch.equal(clean.values, dirty.values)
    assert torch.equal(clean.loss, dirty.loss)
    for key, total in clean.statistics.sums.items():
        assert torch.equal(total, dirty.statistics.sums[key])


def test_a_batch_without_any_object_is_finite(quantizer: nn.Module) -> None:
    values = torch.zeros(1, 2, 4, DIM, requires_grad=True)
    result = quantized_by(quantizer, values, torch.zeros(1, 2, 4, dtype=torch.bool))
    (result.loss + result.values.sum()).backward()
    assert result.values.isfinite().all()
    assert result.loss.isfinite()
    assert values.grad is not None
    assert values.grad.isfinite().all()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in quantizer.parameters())


def test_the_gradient_reaches_real_tokens_and_every_parameter(quantizer: nn.Module) -> None:
    values, mask = tokens(requires_grad=True)
    result = quantized_by(quantizer, values, mask)
    (result.loss + (result.values * torch.randn_like(result.values)).sum()).backward()
    assert values.grad is not None
    assert (values.grad[mask].abs().sum(-1) > 0).all()
    assert (values.grad[~mask] == 0).all()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in quantizer.parameters())


@pytest.mark.parametrize("collect", [True, False])
def test_forward_changes_no_state(quantizer: nn.Module, collect: bool) -> None:
    before = copy.deepcopy(quantizer.state_dict())
    quantized_by(quantizer, *tokens(), collect=collect)
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


def test_statistics_come_only_when_asked_for(quantizer: nn.Module) -> None:
    statistics = quantized_by(quantizer, *tokens(), collect=False).statistics
    assert not statistics.sums
    assert not statistics.rows


def test_under_bf16_autocast_values_keep_their_type_and_the_loss_is_float32(quantizer: nn.Module) -> None:
    values, mask = tokens()
    with torch.autocast("cpu", torch.bfloat16):
        result = quantized_by(quantizer, values.bfloat16(), mask)
    assert result.values.dtype == torch.bfloat16
    assert result.loss.dtype == torch.float32
    assert result.values.isfinite().all()


def test_it_compiles_as_one_graph_to_the_same_result(quantizer: nn.Module) -> None:
    values, mask = tokens(requires_grad=True)
    eager = quantized_by(quantizer, values, mask)
    compiled = quantized_by(torch.compile(quantizer, fullgraph=True, backend="aot_eager"), values, mask)
    torch.testing.assert_close(compiled.values, eager.values)
    torch.testing.assert_close(compiled.loss, eager.loss)
    for key, total in eager.statistics.sums.items():
        torch.testing.assert_close(compiled.statistics.sums[key], total)
    (gradient,) = torch.autograd.grad(compiled.values.square().sum() + compiled.loss, values)
    (expected,) = torch.autograd.grad(eager.values.square().sum() + eager.loss, values)
    torch.testing.assert_close(gradient, expected)
