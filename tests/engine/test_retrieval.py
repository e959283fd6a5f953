"""Retrieval over a fixed list: what counts as a candidate, ties, chance, and counting cells in a loop."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jepa_core.contracts import Observations
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.device import choose_compute
from jepa_core.engine.evaluation import Validation
from jepa_core.engine.network import build_parts
from jepa_core.engine.objective import Objective
from jepa_core.engine.retrieval import CandidateList, figures_of, paired_difference
from jepa_core.facts import DatasetFacts
from jepa_core.recipes.tables import Recipe
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.nulls.equal_cells import EqualCellsConfig
from jepa_plugins.grids.space import GridSpace
from tests.grids.nulls.ranking import facts

CPU = choose_compute("cpu", "fp32")


def padded(grids: Tensor, side: int = 30) -> Tensor:
    """(..., h, w) as a dataset gives them: content in the corner, the outside beyond it."""
    return F.pad(grids, (0, side - grids.shape[-1], 0, side - grids.shape[-2]), value=OUTSIDE)


def sizes_of(grids: Tensor) -> Tensor:
    """(..., 2): rows and columns that hold a cell inside."""
    is_inside = grids < OUTSIDE
    return torch.stack([is_inside.any(-1).sum(-1), is_inside.any(-2).sum(-1)], -1)


def random_sequences(num: int, *, colours: int, seed: int) -> Tensor:
    """(num, 3, 30, 30): grids of different sizes within 30 × 30."""
    generator = torch.Generator().manual_seed(seed)
    sides = torch.randint(1, 4, (num, 3, 2), generator=generator).tolist()
    return torch.stack(
        [
            torch.stack(
                [
                    padded(torch.randint(colours, (height, width), dtype=torch.uint8, generator=generator))
                    for height, width in sequence
                ]
            )
            for sequence in sides
        ]
    )


def ranks_in_a_loop(grids: Tensor) -> list[float]:
    """Counting equal cells of the last context grid and each different target, sequence by sequence."""
    candidates: list[Tensor] = []
    for target in grids[:, -1]:
        if not any(target.equal(known) for known in candidates):
            candidates.append(target)
    ranks = []
    for sequence in grids:
        scores = [int((sequence[-2] == candidate).sum()) for candidate in candidates]
        own = next(s for s, candidate in zip(scores, candidates, strict=True) if sequence[-1].equal(candidate))
        ranks.append(1 + sum(s > own for s in scores) + (sum(s == own for s in scores) - 1) / 2)
    return ranks


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.sampled_from([1, 2, 10]))
def test_counting_cells_on_padded_grids_equals_a_loop(seed: int, colours: int) -> None:
    grids = random_sequences(12, colours=colours, seed=seed)
    ranks = ranks_in_a_loop(grids)
    candidates = CandidateList(GridSpace(side=30), Observations({"grid": grids, "size": sizes_of(grids)}))
    null = EqualCellsConfig().build(facts("frame", "frame", "frame", side=30))
    found = figures_of(candidates.ranks(null.scores(candidates.context, candidates.candidates)))
    assert found.mrr == pytest.approx(sum(1 / rank for rank in ranks) / 12)
    assert found.top1 == pytest.approx(sum(rank <= 1 for rank in ranks) / 12)
    assert found.top10 == pytest.approx(sum(rank <= 10 for rank in ranks) / 12)


def test_equal_target_grids_are_one_candidate() -> None:
    grids = random_sequences(6, colours=10, seed=0)
    grids[4, -1] = grids[1, -1]
    candidates = CandidateList(GridSpace(side=30), Observations({"grid": grids, "size": sizes_of(grids)}))
    assert candidates.size == 5
    z_target = torch.eye(6)
    z_target[4] = z_target[1]
    # Sequence 4 points at the grid that it shares with sequence 1, which therefore ranks first for both.
    assert figures_of(candidates.model_ranks(z_target, z_target)).mrr == 1


def test_targets_that_differ_only_in_size_are_different_candidates() -> None:
    targets = torch.stack([padded(torch.zeros(2, 2, dtype=torch.uint8)), padded(torch.zeros(2, 3, dtype=torch.uint8))])
    grids = targets[:, None].expand(-1, 2, -1, -1)
    assert CandidateList(GridSpace(side=30), Observations({"grid": grids, "size": sizes_of(grids)})).size == 2


def test_a_tie_counts_half() -> None:
    grids = random_sequences(4, colours=10, seed=1)
    z_target = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    z_context = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    # Ranks 1.5 and 1.5, tied with each other; 1; and 3, behind (0, 1) and tied with the two that are orthogonal.
    found = figures_of(
        CandidateList(GridSpace(side=30), Observations({"grid": grids, "size": sizes_of(grids)})).model_ranks(
            z_context, z_target
        )
    )
    assert found.mrr == pytest.approx((2 / 3 + 2 / 3 + 1 + 1 / 3) / 4)
    assert (found.top1, found.top10) == (0.25, 1.0)


@pytest.mark.parametrize("part", ["encoder", "projector"])
def test_a_constant_encoder_scores_chance_in_validation(tiny_recipe: Callable[..., Recipe], part: str) -> None:
    recipe = tiny_recipe("train.batch_size=10")
    dataset = recipe.data.build(DatasetFacts(seed=0))
    parts = build_parts(recipe, DataShape.of(dataset), CPU.device)
    objective = Objective(parts, {name: entry.weight for name, entry in recipe.losses.items()})
    with torch.no_grad():
        for network in (parts.online, parts.target):
            for name, parameter in network.get_submodule(part).named_parameters():
                parameter.fill_(0.1 if name.endswith("bias") else 0.0)
    validation = Validation(dataset.space, dataset.validation, CPU, chunk=10)
    figures = validation(objective, {})
    num_candidates = validation.candidates.size
    assert num_candidates > 20
    assert figures["val.retrieval.mrr"] == pytest.approx(2 / (num_candidates + 1))
    assert figures["val.retrieval.top1"] == 0
    assert figures["val.rank.context"] == figures["val.rank.target"] == 1


def test_the_paired_difference_is_the_mean_with_an_interval_like_the_normal_one() -> None:
    generator = torch.Generator().manual_seed(0)
    ranks, others = (torch.randint(1, 20, (500,), generator=generator).float() for _ in range(2))
    found = paired_difference(ranks, others, torch.arange(500))
    difference = 1 / ranks - 1 / others
    assert found.mean == pytest.approx(difference.mean().item(), abs=1e-6)
    half = 1.96 * difference.std().item() / 500**0.5
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), abs=0.15 * half)
    assert paired_difference(ranks, others, torch.arange(500)) == found


def test_sequences_of_one_task_are_no_independent_evidence() -> None:
    generator = torch.Generator().manual_seed(0)
    of_task = torch.randint(1, 20, (50,), generator=generator).float().repeat_interleave(10)
    tasks = torch.arange(50).repeat_interleave(10)
    grouped = paired_difference(of_task, torch.full((500,), 3.0), tasks)
    apart = paired_difference(of_task, torch.full((500,), 3.0), torch.arange(500))
    assert grouped.high - grouped.low == pytest.approx(10**0.5 * (apart.high - apart.low), rel=0.15)


def test_a_constant_difference_has_no_width() -> None:
    found = paired_difference(torch.ones(30), torch.full((30,), 2.0), torch.arange(30))
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)
