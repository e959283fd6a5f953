"""The seed's temporal attention, step by step."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from jepa_core.facts import AggregatorFacts
from jepa_plugins.aggregators.attention import AttentionConfig
from jepa_plugins.aggregators.mean import MeanConfig

FACTS = AggregatorFacts(embedding_dim=6, context_length=3, num_tokens=4)


def test_it_is_the_weighted_sum_that_the_seed_describes() -> None:
    attention = AttentionConfig().build(FACTS)
    values, mask = torch.randn(2, 3, 4, 6), torch.ones(2, 3, 4, dtype=torch.bool)
    grids = values.mean(2)
    scores = F.linear(grids.transpose(1, 2), attention.scores.weight, attention.scores.bias)
    weights = F.softmax(scores, dim=-1).transpose(1, 2)

    torch.testing.assert_close(attention(values, mask), (weights * grids).sum(1))
    torch.testing.assert_close(attention.time_weights(values, mask), weights.mean(-1))


def test_three_grids_make_nine_weights_and_three_biases() -> None:
    attention = AttentionConfig().build(FACTS)

    assert {name: tuple(p.shape) for name, p in attention.named_parameters()} == {
        "scores.weight": (3, 3),
        "scores.bias": (3,),
    }


def test_over_identical_grids_it_cannot_differ_from_the_mean() -> None:
    values = torch.randn(2, 1, 4, 6).expand(2, 3, 4, 6)
    mask = torch.ones(2, 3, 4, dtype=torch.bool)

    torch.testing.assert_close(AttentionConfig().build(FACTS)(values, mask), MeanConfig().build(FACTS)(values, mask))
