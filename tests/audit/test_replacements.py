"""What takes the place of a part: a mean beside a loop, and tokens as they are."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.audit.replacements import AverageConfig, UnquantizedConfig
from jepa_core.facts import AggregatorFacts, QuantizerFacts
from jepa_plugins.aggregators.mean import MeanConfig

FACTS = AggregatorFacts(embedding_dim=3, context_length=2, num_tokens=4)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**31))
def test_the_average_is_that_of_a_loop_over_observations_and_the_recipes_own_mean(
    batch: int, length: int, tokens: int, seed: int
) -> None:
    torch.manual_seed(seed)
    values, mask = torch.randn(batch, length, tokens, 3), torch.rand(batch, length, tokens) < 0.6
    state = AverageConfig().build(FACTS)(values, mask)
    for row in range(batch):
        means = [values[row, t][mask[row, t]].mean(0) if mask[row, t].any() else torch.zeros(3) for t in range(length)]
        assert torch.allclose(state[row], torch.stack(means).sum(0) / length, atol=1e-6)
    assert torch.allclose(state, MeanConfig().build(FACTS)(values, mask), atol=1e-6)


def test_the_average_does_not_see_what_is_masked_nor_the_order() -> None:
    torch.manual_seed(0)
    values, mask = torch.randn(2, 3, 4, 3), torch.rand(2, 3, 4) < 0.5
    average = AverageConfig().build(FACTS)
    other = torch.where(mask[..., None], values, 1e6)
    assert torch.equal(average(other, mask), average(values, mask))
    assert torch.allclose(average(values.flip(1), mask.flip(1)), average(values, mask), atol=1e-6)


@pytest.mark.parametrize("collect", [True, False])
def test_without_a_quantizer_tokens_and_their_gradient_pass_as_they_are(collect: bool) -> None:
    values = torch.randn(2, 3, 4, requires_grad=True)
    found = UnquantizedConfig().build(QuantizerFacts(embedding_dim=4))(values, torch.ones(2, 3) > 0, collect=collect)
    assert found.values is values
    assert (found.codes, float(found.loss), found.statistics.sums) == (None, 0.0, {})
