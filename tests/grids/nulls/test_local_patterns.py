"""The bag of local patterns: what it is for, what it overlooks on purpose, and its weights by the formula."""

from __future__ import annotations

import pytest
import torch

from jepa_core.contracts import Observations, Sequences
from jepa_core.facts import Role
from jepa_plugins.grids.nulls.local_patterns import LocalPatternsConfig, LocalPatternsNull
from tests.grids.nulls.ranking import facts, random_observations


def a_null() -> LocalPatternsNull:
    null = LocalPatternsConfig().build(facts("input", "output"))
    assert null is not None
    return null


def with_a_size(grids: torch.Tensor) -> Observations:
    return Observations({"grid": grids, "size": torch.full((*grids.shape[:-2], 2), grids.shape[-1])})


def test_a_grid_that_is_turned_is_the_same_to_it_and_another_is_not() -> None:
    grids = torch.randint(0, 10, (6, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    null = a_null()
    context, turned = with_a_size(grids[:, None]), with_a_size(grids.rot90(dims=(1, 2)).flip(2))
    scores = null.scores(context, turned)
    assert scores.diagonal().allclose(torch.ones(6))
    assert scores.argmax(1).equal(torch.arange(6))
    assert (scores - torch.eye(6)).max() < 0.9


@pytest.mark.parametrize(
    "roles", [("input", "output", "input", "output"), ("frame", "frame"), ("frame", "frame", "frame", "frame")]
)
def test_it_leaves_demonstrations_and_courses_to_sums_of_grids(roles: tuple[Role, ...]) -> None:
    assert LocalPatternsConfig().build(facts(*roles)) is None


def test_rarity_is_the_log_of_how_few_training_grids_have_a_pattern() -> None:
    observed = random_observations(20, 2)
    null = a_null()
    found = null.fit(
        Sequences(
            observations=Observations({"grid": observed["grid"], "size": observed["size"]}), tasks=torch.arange(20)
        )
    )
    counts = null._counts(observed["grid"].flatten(0, 1))
    occurring = (counts > 0).sum(0)
    assert found == {"patterns": float((occurring > 0).sum())}
    assert null._rarity_K.allclose((41 / (occurring + 1)).log())


def test_each_contexts_own_candidates_score_as_those_of_all() -> None:
    null, context, own = a_null(), random_observations(3, 1), random_observations(3, 4, seed=1)
    scores = null.scores(context, own)
    for row in range(3):
        alone = Observations({"grid": own["grid"][row], "size": own["size"][row]})
        assert torch.allclose(scores[row], null.scores(context, alone)[row], atol=1e-6)
