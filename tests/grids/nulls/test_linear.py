"""Sums of context grids against their formula in float64, and what is fitted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jepa_core.contracts import Observations, Sequences
from jepa_core.facts import Role
from jepa_plugins.grids.nulls.linear import ExtrapolationConfig, LinearNull, PairAnalogyConfig, PaletteAndSizeConfig
from tests.grids.nulls.ranking import described, facts, random_observations

PAIRS: tuple[Role, ...] = ("input", "output", "input", "output", "input", "output")
COURSE: tuple[Role, ...] = ("frame",) * 6
CASES = [
    (PaletteAndSizeConfig(), PAIRS, [0, 0, 0, 0, 1]),
    (PairAnalogyConfig(), PAIRS, [-0.5, 0.5, -0.5, 0.5, 1]),
    (ExtrapolationConfig(), COURSE, [0, 0, 0, -1, 2]),
]


def by_the_formula(context: Observations, candidates: Observations, signs: list[float], w: dict[str, float]) -> Tensor:
    """Scalar product of the sum with each candidate, over the candidate's length."""
    rows = []
    for grids, sizes in zip(context["grid"], context["size"], strict=True):
        blocks: dict[str, Tensor] = {}
        for sign, grid, size in zip(signs, grids, sizes, strict=True):
            for name, block in described(grid, size, w).items():
                blocks[name] = blocks.get(name, torch.zeros(())) + sign * block
        blocks["palette"] = (blocks["palette"] / w["palette"] ** 0.5).clamp(0, 1) * w["palette"] ** 0.5
        row = []
        for grid, size in zip(candidates["grid"], candidates["size"], strict=True):
            theirs = torch.cat(list(described(grid, size, w).values()))
            row.append(torch.cat(list(blocks.values())) @ theirs / theirs.norm())
        rows.append(torch.stack(row))
    return torch.stack(rows)


@pytest.mark.parametrize(("config", "roles", "signs"), CASES, ids=lambda value: type(value).__name__)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), weights=st.lists(st.sampled_from([0.03, 0.3, 2.0]), min_size=3, max_size=3))
def test_scores_are_the_formulas(
    config: Any, roles: tuple[Role, ...], signs: list[float], seed: int, weights: list[float]
) -> None:
    null: LinearNull = config.build(facts(*roles))
    null.weights = {"cells": 1.0, **dict(zip(("palette", "shares", "size"), weights, strict=True))}
    context, candidates = random_observations(3, 5, seed=seed), random_observations(4, seed=seed + 1)
    expected = by_the_formula(context, candidates, signs, null.weights)
    assert torch.allclose(null.scores(context, candidates).double(), expected, atol=1e-5)


@pytest.mark.parametrize("config", [PaletteAndSizeConfig(), PairAnalogyConfig()])
def test_each_contexts_own_candidates_score_as_those_of_all(config: Any) -> None:
    null: LinearNull = config.build(facts(*PAIRS))
    context, own = random_observations(3, 5), random_observations(3, 4, seed=1)
    scores = null.scores(context, own)
    for row in range(3):
        alone = Observations({"grid": own["grid"][row], "size": own["size"][row]})
        assert torch.allclose(scores[row], null.scores(context, alone)[row], atol=1e-6)


def test_a_recolouring_that_the_pairs_show_is_applied_to_the_last_input() -> None:
    red, blue, green = (torch.full((6, 6), colour, dtype=torch.uint8) for colour in (2, 1, 3))
    sizes = torch.full((1, 3, 2), 6)
    context = Observations({"grid": torch.stack([red, blue, red])[None], "size": sizes})
    candidates = Observations({"grid": torch.stack([red, green, blue]), "size": sizes[0]})
    null = PairAnalogyConfig().build(facts("input", "output", "input", "output"))
    assert null is not None
    assert null.scores(context, candidates).argmax(1).tolist() == [2]


@pytest.mark.parametrize(
    ("config", "roles"),
    [
        (PairAnalogyConfig(), ("frame", "frame", "frame", "frame")),
        (PairAnalogyConfig(), ("input", "output")),
        (PairAnalogyConfig(), ("input", "input", "input", "output")),
        (ExtrapolationConfig(), ("input", "output", "input", "output")),
        (ExtrapolationConfig(), ("frame", "frame")),
    ],
)
def test_a_null_that_does_not_fit_the_roles_is_none(config: Any, roles: tuple[Role, ...]) -> None:
    assert config.build(facts(*roles)) is None


def test_fitting_finds_the_block_that_tells_targets_apart() -> None:
    """Cells are noise and the size is the last grid's: weights that heed the size must be found."""
    observed = random_observations(60, 2, seed=3)
    sizes = observed["size"].clone()
    sizes[:, 1] = sizes[:, 0]
    cells = torch.arange(6)
    is_inside = (cells[:, None] < sizes[..., 0, None, None]) & (cells < sizes[..., 1, None, None])
    noise = torch.randint(0, 10, (60, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    grids = torch.where(is_inside, noise, 10).to(torch.uint8)
    train = Sequences(observations=Observations({"grid": grids, "size": sizes}), tasks=torch.arange(60))
    null = PaletteAndSizeConfig().build(facts("frame", "frame"))
    found = null.fit(train)
    assert found == null.weights
    assert found["size"] > found["shares"]
    assert found["size"] >= 1
    assert null.fit(train) == found
