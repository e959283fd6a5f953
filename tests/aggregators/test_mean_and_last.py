"""The two aggregators without parameters."""

from __future__ import annotations

import torch

from jepa_core.facts import AggregatorFacts
from jepa_plugins.aggregators.last import LastConfig
from jepa_plugins.aggregators.mean import MeanConfig

FACTS = AggregatorFacts(embedding_dim=1, context_length=2, num_tokens=2)
VALUES = torch.tensor([[[[1.0], [3.0]], [[10.0], [0.0]]]])
MASK = torch.tensor([[[True, True], [True, False]]])


def test_mean_weighs_grids_equally_however_many_objects_they_have() -> None:
    assert MeanConfig().build(FACTS)(VALUES, MASK).item() == (2.0 + 10.0) / 2


def test_mean_is_blind_to_the_order_of_grids() -> None:
    mean = MeanConfig().build(FACTS)

    assert torch.equal(mean(VALUES, MASK), mean(VALUES.flip(1), MASK.flip(1)))


def test_last_sees_the_last_grid_alone() -> None:
    last = LastConfig().build(FACTS)

    assert last(VALUES, MASK).item() == 10.0
    assert last(VALUES.flip(1), MASK.flip(1)).item() == 2.0
