"""The last step made once more: where the state starts, and that attention on top sees everything."""

from __future__ import annotations

import pytest
import torch

from jepa_core.errors import RecipeError
from jepa_core.facts import AggregatorFacts
from jepa_plugins.aggregators.attention_pool import AttentionPoolConfig
from jepa_plugins.aggregators.extrapolation import Extrapolation, ExtrapolationConfig, continued

FACTS = AggregatorFacts(embedding_dim=8, context_length=3, num_tokens=4)


def built(**fields: object) -> Extrapolation:
    return ExtrapolationConfig(heads=2, **fields).build(FACTS)  # type: ignore[arg-type]  # each test's own fields


def test_the_state_starts_near_twice_the_last_mean_less_the_one_before() -> None:
    values = torch.randn(16, 3, 4, 8)
    mask = torch.rand(16, 3, 4) < 0.7
    mask[:, :, 0] = True
    line = torch.stack([2 * x[2][m[2]].mean(0) - x[1][m[1]].mean(0) for x, m in zip(values, mask, strict=True)])

    change = built()(values, mask) - line

    assert 0 < change.norm() < 0.05 * line.norm()


def test_a_step_made_a_second_time_is_met_exactly() -> None:
    first, step = torch.randn(5, 8), torch.randn(5, 8)

    torch.testing.assert_close(continued(torch.stack([first, first + step], 1)), first + 2 * step)


def test_a_single_grid_continues_as_itself() -> None:
    grids = torch.randn(5, 1, 8)

    assert continued(grids).equal(grids[:, 0])


def test_every_grid_has_influence() -> None:
    values = torch.randn(16, 3, 4, 8, requires_grad=True)
    (built()(values, torch.ones(16, 3, 4, dtype=torch.bool)) * torch.randn(16, 8)).sum().backward()

    assert values.grad is not None
    assert (values.grad.abs().sum((0, 2, 3)) > 0).all()


def test_with_the_weights_of_attention_pool_only_the_start_differs() -> None:
    values, mask = torch.randn(16, 3, 4, 8), torch.ones(16, 3, 4, dtype=torch.bool)
    pool = AttentionPoolConfig(heads=2, queries="all").build(FACTS)
    line = built()
    line.load_state_dict(pool.state_dict())

    difference = line(values, mask) - pool(values, mask)

    torch.testing.assert_close(difference, values[:, 2].mean(1) - values[:, 1].mean(1))


def test_heads_that_do_not_divide_the_embedding_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"aggregator\.heads must divide the embedding dimension 8 \(got 3\)"):
        ExtrapolationConfig(heads=3).build(FACTS)
