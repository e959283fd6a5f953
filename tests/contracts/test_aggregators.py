"""What holds for every aggregator, beyond what holds for every module."""

from __future__ import annotations

import pytest
import torch

from jepa_core.contracts import ShowsWeights
from tests.contracts.situations import EMBEDDING_DIM, SITUATIONS, Situation
from tests.contracts.subjects import Subject, subjects

every_aggregator = pytest.mark.parametrize("subject", subjects("aggregator"))


@every_aggregator
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_each_sequence_has_one_state(subject: Subject, situation: Situation) -> None:
    aggregator = subject.build(situation)
    state = subject.call(aggregator, subject.inputs(aggregator, situation))["state"]
    assert state.is_floating_point()
    assert state.shape == (situation.batch, EMBEDDING_DIM)


@every_aggregator
def test_the_order_of_objects_within_a_grid_does_not_matter(subject: Subject) -> None:
    aggregator = subject.build().eval()
    inputs = subject.inputs(aggregator)
    order = torch.randperm(inputs["mask"].shape[-1])
    permuted = {name: tensor[:, :, order] for name, tensor in inputs.items()}
    torch.testing.assert_close(subject.call(aggregator, permuted), subject.call(aggregator, inputs))


@pytest.mark.parametrize("subject", subjects("aggregator", offering=ShowsWeights))
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_weights_over_time_are_shares(subject: Subject, situation: Situation) -> None:
    aggregator = subject.build(situation)
    assert isinstance(aggregator, ShowsWeights)
    inputs = subject.inputs(aggregator, situation)
    weights = aggregator.time_weights(inputs["values"], inputs["mask"])
    assert weights.shape == (situation.batch, situation.context_length)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1).float(), torch.ones(situation.batch))
