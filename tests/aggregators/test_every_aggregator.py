"""What holds for every built-in aggregator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jepa_core.contracts import ShowsWeights
from jepa_core.facts import AggregatorFacts
from jepa_plugins.aggregators.attention import AttentionConfig
from jepa_plugins.aggregators.attention_pool import AttentionPoolConfig
from jepa_plugins.aggregators.last import LastConfig
from jepa_plugins.aggregators.mean import MeanConfig

FACTS = AggregatorFacts(embedding_dim=8, context_length=3, num_tokens=5)
CONFIGS = [
    MeanConfig(),
    LastConfig(),
    AttentionConfig(),
    AttentionPoolConfig(queries="summary", heads=2),
    AttentionPoolConfig(queries="last", heads=2),
    AttentionPoolConfig(queries="all", heads=2, layers=1),
]
every_aggregator = pytest.mark.parametrize("config", CONFIGS, ids=str)


def built(config: Any) -> nn.Module:
    torch.manual_seed(0)
    module = config.build(FACTS)
    assert isinstance(module, nn.Module)
    return module


def random_tokens() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    mask = torch.rand(4, 3, 5) < 0.6
    mask[:, :, 0] = True
    mask[0, 1] = False
    return torch.randn(4, 3, 5, 8) * mask.unsqueeze(-1), mask


@every_aggregator
def test_the_state_has_one_vector_per_sequence(config: Any) -> None:
    assert built(config)(*random_tokens()).shape == (4, 8)


@every_aggregator
def test_masked_tokens_have_no_influence(config: Any) -> None:
    values, mask = random_tokens()
    aggregator = built(config)
    other = torch.where(mask.unsqueeze(-1), values, 7.0)

    torch.testing.assert_close(aggregator(values, mask), aggregator(other, mask))


@every_aggregator
def test_the_order_of_tokens_within_a_grid_does_not_matter(config: Any) -> None:
    values, mask = random_tokens()
    aggregator = built(config)
    order = torch.randperm(5)

    torch.testing.assert_close(aggregator(values, mask), aggregator(values[:, :, order], mask[:, :, order]))


@every_aggregator
def test_a_sequence_without_any_real_token_has_a_finite_state_and_gradient(config: Any) -> None:
    aggregator = built(config)
    values = torch.zeros(2, 3, 5, 8, requires_grad=True)
    state = aggregator(values, torch.zeros(2, 3, 5, dtype=torch.bool))
    state.square().sum().backward()

    assert state.isfinite().all()
    assert values.grad is not None
    assert values.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in aggregator.parameters())


@every_aggregator
def test_the_gradient_reaches_every_parameter_and_the_last_grid(config: Any) -> None:
    values, mask = random_tokens()
    aggregator = built(config)
    (aggregator(values.requires_grad_(), mask) * torch.randn(4, 8)).sum().backward()

    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in aggregator.parameters())
    assert values.grad is not None
    assert (values.grad[:, -1][mask[:, -1]].abs().sum(-1) > 0).all()


@every_aggregator
def test_forward_changes_no_state_and_evaluation_is_deterministic(config: Any) -> None:
    values, mask = random_tokens()
    aggregator = built(config).eval()
    before = {name: tensor.clone() for name, tensor in aggregator.state_dict().items()}

    assert torch.equal(aggregator(values, mask), aggregator(values, mask))
    assert all(torch.equal(before[name], tensor) for name, tensor in aggregator.state_dict().items())


@every_aggregator
def test_it_runs_in_bfloat16(config: Any) -> None:
    values, mask = random_tokens()
    aggregator = built(config)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        state = aggregator(values, mask)

    torch.testing.assert_close(state.float(), aggregator(values, mask), atol=0.05, rtol=0.05)


@every_aggregator
def test_it_compiles_without_a_graph_break(config: Any) -> None:
    values, mask = random_tokens()
    aggregator = built(config)
    compiled = torch.compile(aggregator, fullgraph=True, backend="aot_eager")

    torch.testing.assert_close(compiled(values, mask), aggregator(values, mask))


@pytest.mark.parametrize("config", CONFIGS[2:], ids=str)
def test_time_weights_are_shares(config: Any) -> None:
    values, mask = random_tokens()
    mask[3] = False
    aggregator = built(config)
    assert isinstance(aggregator, ShowsWeights)
    weights = aggregator.time_weights(values * mask.unsqueeze(-1), mask)

    assert weights.shape == (4, 3)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(4))


@pytest.mark.parametrize("config", CONFIGS[1:], ids=str)
def test_the_order_of_grids_matters(config: Any) -> None:
    values, mask = random_tokens()
    aggregator = built(config)

    assert not torch.allclose(aggregator(values, mask), aggregator(values.flip(1), mask.flip(1)))
