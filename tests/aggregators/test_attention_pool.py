"""Attention over all tokens: where it starts, what it sees, what it can learn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jepa_core.errors import RecipeError
from jepa_core.facts import AggregatorFacts
from jepa_plugins.aggregators.attention_pool import AttentionPoolConfig
from jepa_plugins.aggregators.last import LastConfig

FACTS = AggregatorFacts(embedding_dim=8, context_length=3, num_tokens=4)
ALL_REAL = torch.ones(16, 3, 4, dtype=torch.bool)
every_kind_of_query = pytest.mark.parametrize(
    "config",
    [AttentionPoolConfig(queries=queries, heads=2) for queries in ("summary", "last", "all")],
    ids=lambda config: config.queries,
)


@every_kind_of_query
def test_the_state_starts_near_the_last_grids_mean(config: AttentionPoolConfig) -> None:
    values = torch.randn(16, 3, 4, 8)
    last = LastConfig().build(FACTS)(values, ALL_REAL)

    change = config.build(FACTS)(values, ALL_REAL) - last

    assert 0 < change.norm() < 0.05 * last.norm()


@every_kind_of_query
def test_every_grid_has_influence(config: AttentionPoolConfig) -> None:
    values = torch.randn(16, 3, 4, 8, requires_grad=True)
    (config.build(FACTS)(values, ALL_REAL) * torch.randn(16, 8)).sum().backward()

    assert values.grad is not None
    assert (values.grad.abs().sum((0, 2, 3)) > 0).all()


def test_without_real_tokens_the_weights_over_time_are_uniform() -> None:
    pool = AttentionPoolConfig(heads=2).build(FACTS)

    weights = pool.time_weights(torch.zeros(2, 3, 4, 8), torch.zeros(2, 3, 4, dtype=torch.bool))

    torch.testing.assert_close(weights, torch.full((2, 3), 1 / 3))


def test_a_grid_without_real_tokens_has_no_weight() -> None:
    mask = ALL_REAL.clone()
    mask[:, 1] = False

    weights = AttentionPoolConfig(heads=2).build(FACTS).time_weights(torch.randn(16, 3, 4, 8), mask)

    assert (weights[:, 1] == 0).all()
    assert (weights[:, [0, 2]] > 0).all()


@every_kind_of_query
def test_it_learns_a_change_seen_between_the_first_two_grids(config: AttentionPoolConfig) -> None:
    torch.manual_seed(0)
    pool = config.build(FACTS)
    optimizer = torch.optim.Adam(pool.parameters(), lr=1e-2)
    errors = []
    for _ in range(200):
        values, wanted = analogies()
        error = (pool(values, ALL_REAL) - wanted).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())

    assert sum(errors[-10:]) / 10 < 0.5 * errors[0]


def analogies() -> tuple[Tensor, Tensor]:
    """in₁, in₁ + change, in₂ and the mean of in₂ + change."""
    first, second, change = torch.randn(16, 4, 8), torch.randn(16, 4, 8), torch.randn(16, 1, 8)
    return torch.stack([first, first + change, second], 1), (second + change).mean(1)


def test_heads_that_do_not_divide_the_embedding_are_refused_with_a_remedy() -> None:
    with pytest.raises(RecipeError, match=r"aggregator\.heads must divide the embedding dimension 8 \(got 3\)"):
        AttentionPoolConfig(heads=3).build(FACTS)
