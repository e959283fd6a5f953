"""Near copies: drawn alike every time, distinct ones counted once, and no way to the target without the context."""

from __future__ import annotations

import random

import pytest
import torch

from jepa_core.contracts import SequenceDataset
from jepa_core.engine import hard_candidates
from jepa_core.engine.hard_candidates import MOST_SEQUENCES, NUM_RELATIVES, HardCandidates, cosine_scores
from jepa_core.facts import DatasetFacts
from jepa_core.observations import Observations
from jepa_plugins.grids.datasets.arc import ArcConfig
from jepa_plugins.grids.datasets.traces import TracesConfig
from jepa_plugins.grids.edits import colours_of, edited
from jepa_plugins.grids.space import GridSpace

SPACE = GridSpace(side=12)


@pytest.fixture(scope="module")
def arc() -> SequenceDataset:
    return ArcConfig(train_windows=1).build(DatasetFacts(seed=0))


@pytest.fixture(scope="module")
def lists(arc: SequenceDataset) -> HardCandidates:
    drawn = HardCandidates.of(arc.space, arc.validation.observations, arc.validation.tasks)
    assert drawn is not None
    return drawn


def test_candidates_are_the_target_its_relatives_and_the_contexts_grids(
    arc: SequenceDataset, lists: HardCandidates
) -> None:
    chosen = arc.validation.observations["grid"][lists.rows]
    grids = lists.candidates["grid"]
    assert grids.shape[1] == 1 + NUM_RELATIVES + 3
    assert grids[:, 0].equal(chosen[:, -1])
    assert grids[:, -3:].equal(chosen[:, :-1])
    assert lists.is_distinct[:, 0].all()


def test_copies_are_one_candidate(lists: HardCandidates) -> None:
    for cells, distinct in zip(lists.candidates["grid"].flatten(2)[:20], lists.is_distinct[:20], strict=True):
        assert int(distinct.sum()) == len(torch.unique(cells, dim=0))


def test_both_controls_of_arc_are_near_chance(lists: HardCandidates) -> None:
    assert lists.medoid_mrr == pytest.approx(lists.chance_mrr, abs=0.06)
    # Counting cells with another task's context.
    last = lists.context["grid"][lists.other, -1]
    blind = (lists.candidates["grid"] == last[:, None]).flatten(2).sum(2).float()
    assert float(lists.mrr(blind)) == pytest.approx(lists.chance_mrr, abs=0.06)
    own = (lists.candidates["grid"] == lists.context["grid"][:, -1:]).flatten(2).sum(2).float()
    assert float(lists.mrr(own)) > lists.chance_mrr + 0.1


def test_copies_made_of_the_target_alone_would_be_told_by_their_medoid(arc: SequenceDataset) -> None:
    """Why the tree: the same figure for a star with the target in its middle is near 1."""
    targets, sizes = arc.validation.observations["grid"][:60, -1], arc.validation.observations["size"][:60, -1]
    palette = colours_of(arc.validation.observations["grid"][:60])
    star = torch.stack([targets, *(edited(targets, sizes, palette) for _ in range(16))], 1)
    distinct = hard_candidates._is_distinct(SPACE.keys(Observations({"grid": star, "size": sizes})))
    alike = (SPACE.alike(Observations({"grid": star, "size": sizes})) * distinct[:, None]).sum(2)
    assert float(hard_candidates._mrr(alike, distinct)) > 0.7


def test_lists_are_the_same_every_time(arc: SequenceDataset, lists: HardCandidates) -> None:
    again = HardCandidates.of(arc.space, arc.validation.observations, arc.validation.tasks)
    assert again is not None
    assert again.candidates["grid"].equal(lists.candidates["grid"])


def test_the_blind_control_has_the_context_of_another_task() -> None:
    split = TracesConfig(num_sequences=600, validation_share=0.2).build(DatasetFacts(seed=0)).validation
    lists = HardCandidates.of(SPACE, split.observations, split.tasks)
    assert lists is not None
    tasks = split.tasks[lists.rows]
    assert (tasks[lists.other] != tasks).all()


def test_one_task_has_no_lists() -> None:
    split = TracesConfig(num_sequences=600, validation_share=0.2).build(DatasetFacts(seed=0)).validation
    assert HardCandidates.of(SPACE, split.observations[:6], torch.zeros(6, dtype=torch.int64)) is None


def test_another_task_outside_the_chosen_sequences_makes_no_lists() -> None:
    """Of 511 sequences every second is chosen: the one of another task is not among them."""
    split = TracesConfig(num_sequences=60, validation_share=0.5).build(DatasetFacts(seed=0)).validation
    observations = split.observations[torch.arange(2 * MOST_SEQUENCES - 1) % len(split)]
    tasks = torch.zeros(len(observations), dtype=torch.int64)
    tasks[1] = 1
    assert HardCandidates.of(SPACE, observations, tasks) is None


def test_chance_is_what_random_scores_reach(lists: HardCandidates) -> None:
    torch.manual_seed(0)
    reached = torch.stack([lists.mrr(torch.rand(lists.is_distinct.shape)) for _ in range(40)]).mean()
    assert float(reached) == pytest.approx(lists.chance_mrr, abs=0.01)


def test_ranks_leave_copies_out_and_a_score_that_is_no_number_ranks_last() -> None:
    lists = HardCandidates(
        rows=torch.arange(2),
        context=None,  # type: ignore[arg-type]  # not looked at
        candidates=None,  # type: ignore[arg-type]  # not looked at
        is_distinct=torch.tensor([[True, True, False, True], [True, True, True, True]]),
        other=torch.tensor([1, 0]),
        chance_mrr=0.5,
        medoid_mrr=0.5,
    )
    scores = torch.tensor([[0.5, 0.4, 0.9, 0.7], [torch.nan, 0.1, 0.2, 0.3]])
    assert lists.ranks(scores).tolist() == [2, 4]


def test_cosines_do_not_depend_on_length() -> None:
    context, candidates = torch.randn(3, 5), torch.randn(3, 4, 5)
    assert torch.allclose(cosine_scores(context, candidates), cosine_scores(2 * context, 3 * candidates), atol=1e-6)
    assert cosine_scores(context, context[:, None])[:, 0].allclose(torch.ones(3))


def test_a_tree_seen_from_any_of_its_nodes_has_every_parent_before_its_child() -> None:
    draw = random.Random(0)
    for num_nodes in (1, 2, 5, 33):
        parents = hard_candidates._parents(num_nodes, draw)
        assert parents[0] == -1
        assert all(0 <= parent < node for node, parent in enumerate(parents[1:], start=1))
