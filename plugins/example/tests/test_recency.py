"""Weights halve with every half-life, and masked slots count for nothing."""

from __future__ import annotations

import torch

from jepa_core.facts import AggregatorFacts
from jepa_recency.recency import Recency, RecencyConfig


def built(half_life: float, context_length: int = 5) -> Recency:
    facts = AggregatorFacts(embedding_dim=3, context_length=context_length, num_tokens=2)
    return RecencyConfig(half_life=half_life).build(facts)


def test_weights_halve_with_every_half_life_and_sum_to_one() -> None:
    weights = built(half_life=2.0).weights
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
    torch.testing.assert_close(weights[2:] / weights[:-2], torch.full((3,), 2.0))


def test_a_very_short_half_life_leaves_the_last_grid_alone() -> None:
    values = torch.randn(4, 5, 2, 3)
    state = built(half_life=1e-3)(values, torch.ones(4, 5, 2, dtype=torch.bool))
    torch.testing.assert_close(state, values[:, -1].mean(1))


def test_masked_slots_have_no_influence() -> None:
    values, mask = torch.randn(4, 5, 2, 3), torch.rand(4, 5, 2) < 0.5
    soiled = torch.where(mask.unsqueeze(-1), values, torch.inf)
    torch.testing.assert_close(built(1.0)(soiled, mask), built(1.0)(values, mask))


def test_the_weights_it_shows_are_those_it_uses() -> None:
    aggregator = built(half_life=1.0)
    values, mask = torch.randn(4, 5, 2, 3), torch.ones(4, 5, 2, dtype=torch.bool)
    shown = aggregator.time_weights(values, mask)
    torch.testing.assert_close(aggregator(values, mask), (shown.unsqueeze(-1) * values.mean(2)).sum(1))
