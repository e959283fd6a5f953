"""What holds for every built-in loss."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from jepa_core.contracts import Embeddings, Forward, HasState, LossTerm, Statistics
from jepa_core.facts import LossFacts
from jepa_plugins.grids.invariance import InvarianceConfig
from jepa_plugins.losses.info_nce import InfoNceConfig
from jepa_plugins.losses.relational import RelationalConfig
from jepa_plugins.losses.sigreg import SigregConfig
from jepa_plugins.losses.vicreg import VicregConfig
from tests.losses.forwards import DIM, NUM_CONTEXT, NUM_TOKENS, PROJECTION, random_forward

AnyConfig = InfoNceConfig | InvarianceConfig | RelationalConfig | SigregConfig | VicregConfig

CONFIGS: list[AnyConfig] = [
    InfoNceConfig(),
    InfoNceConfig(queue=20, symmetric=True, duplicate_similarity=0.999),
    RelationalConfig(),
    RelationalConfig(normalized=False),
    SigregConfig(slices=16),
    VicregConfig(),
    InvarianceConfig(),
]


@pytest.fixture(params=CONFIGS, ids=str)
def config(request: pytest.FixtureRequest) -> AnyConfig:
    assert isinstance(request.param, AnyConfig)
    return request.param


@pytest.fixture
def loss(config: AnyConfig) -> nn.Module:
    return config.build(
        LossFacts(
            embedding_dim=DIM,
            projection_dim=PROJECTION,
            context_length=NUM_CONTEXT,
            num_tokens=NUM_TOKENS,
            batch_size=8,
        )
    )


def term_of(loss: Callable[[Forward], Any], forward: Forward) -> LossTerm:
    torch.manual_seed(5)
    term = loss(forward)
    assert isinstance(term, LossTerm)
    return term


def statistics_of(loss: nn.Module, forward: Forward) -> Statistics:
    statistics = term_of(loss, forward).statistics
    assert statistics is not None
    return statistics


def test_it_is_a_finite_float32_scalar_with_declared_detached_figures(loss: nn.Module, config: AnyConfig) -> None:
    term = term_of(loss, random_forward())
    assert term.value.shape == ()
    assert term.value.dtype == torch.float32
    assert term.value.isfinite()
    assert set(term.figures) <= {metric.name for metric in config.metrics}
    assert all(figure.shape == () and not figure.requires_grad for figure in term.figures.values())


def test_the_gradient_reaches_the_online_side_and_every_parameter(loss: nn.Module) -> None:
    forward = random_forward()
    term_of(loss, forward).value.backward()
    reached = [forward.z_context.grad, forward.context_quantized.values.grad]
    assert any(gradient is not None and gradient.any() for gradient in reached)
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in loss.parameters())


@pytest.mark.parametrize(("batch", "real"), [(8, 0.0), (1, 0.7), (1, 0.0)])
def test_a_batch_without_objects_or_of_one_sequence_is_finite(loss: nn.Module, batch: int, real: float) -> None:
    forward = random_forward(batch, real=real)
    value = term_of(loss, forward).value
    value.backward()
    assert value.isfinite()
    for leaf in (forward.z_context, forward.context_quantized.values):
        assert leaf.grad is None or leaf.grad.isfinite().all()


def test_equal_embeddings_have_a_finite_gradient(loss: nn.Module) -> None:
    forward = random_forward(scale=0.0)
    value = term_of(loss, forward).value
    value.backward()
    assert value.isfinite()
    for leaf in (forward.z_context, forward.context_quantized.values):
        assert leaf.grad is None or leaf.grad.isfinite().all()


def test_what_stands_in_masked_slots_has_no_influence(loss: nn.Module) -> None:
    forward = random_forward()
    mask, target_mask = forward.context_embeddings.mask, forward.target_tokens.mask
    values = torch.where(mask[..., None], forward.context_quantized.values.detach(), torch.nan)
    soiled = replace(
        forward,
        context_quantized=replace(forward.context_quantized, values=values),
        target_tokens=Embeddings(
            torch.where(target_mask[..., None], forward.target_tokens.values, torch.nan), target_mask
        ),
    )
    assert torch.equal(term_of(loss, forward).value, term_of(loss, soiled).value)


def test_forward_changes_no_state(loss: nn.Module) -> None:
    before = copy.deepcopy(loss.state_dict())
    term_of(loss, random_forward())
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_merged_statistics_of_two_halves_leave_the_state_of_the_whole(loss: nn.Module) -> None:
    if not isinstance(loss, HasState):
        assert not list(loss.buffers())
        return
    at_once, in_halves = loss, copy.deepcopy(loss)
    assert isinstance(in_halves, nn.Module)
    whole = random_forward()
    halves = [
        replace(whole, z_context=whole.z_context[span], z_target=whole.z_target[span])
        for span in (slice(4), slice(4, 8))
    ]
    at_once.after_step(statistics_of(at_once, whole))
    assert isinstance(in_halves, HasState)
    in_halves.after_step(Statistics.merge([statistics_of(in_halves, half) for half in halves]))
    for name, value in at_once.state_dict().items():
        torch.testing.assert_close(in_halves.state_dict()[name], value)


def test_bf16_inputs_under_autocast_give_nearly_the_same_value(loss: nn.Module) -> None:
    expected = term_of(loss, random_forward()).value
    with torch.autocast("cpu", torch.bfloat16):
        value = term_of(loss, random_forward(dtype=torch.bfloat16)).value
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected, rtol=0.05, atol=0.05)


def test_it_compiles_as_one_graph_to_the_same_result(loss: nn.Module) -> None:
    eager_forward, compiled_forward = random_forward(), random_forward()
    eager = term_of(loss, eager_forward)
    compiled = term_of(torch.compile(loss, fullgraph=True, backend="aot_eager"), compiled_forward)
    torch.testing.assert_close(compiled.value, eager.value)
    eager.value.backward()
    compiled.value.backward()
    torch.testing.assert_close(compiled_forward.z_context.grad, eager_forward.z_context.grad)
