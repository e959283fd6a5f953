"""Counting equal cells against comparing them one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Observations
from jepa_plugins.grids.nulls import equal_cells
from jepa_plugins.grids.nulls.equal_cells import EqualCellsConfig
from tests.grids.nulls.ranking import facts, random_observations

NULL = EqualCellsConfig().build(facts("frame", "frame", "frame"))


def compared_cell_by_cell(last_context: Tensor, candidates: Tensor) -> Tensor:
    return (last_context[:, None] == candidates[None]).flatten(2).sum(-1).float()


def test_scores_are_the_numbers_of_cells_equal_to_the_last_grid_outside_included() -> None:
    context, candidates = random_observations(7, 2), random_observations(5, seed=1)
    assert NULL.scores(context, candidates).equal(compared_cell_by_cell(context["grid"][:, -1], candidates["grid"]))


def test_many_grids_are_counted_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equal_cells, "_ROWS_AT_ONCE", 3)
    context, candidates = random_observations(7, 2), random_observations(8, seed=1)
    assert NULL.scores(context, candidates).equal(compared_cell_by_cell(context["grid"][:, -1], candidates["grid"]))


def test_counts_stay_exact_under_autocast() -> None:
    context = random_observations(4, 1, side=30)
    candidates = Observations({"grid": context["grid"][:, 0], "size": context["size"][:, 0]})
    with torch.autocast("cpu", torch.bfloat16):
        scores = NULL.scores(context, candidates)
    assert scores.dtype == torch.float32
    assert scores.equal(compared_cell_by_cell(candidates["grid"], candidates["grid"]))


def test_padding_to_30_by_30_adds_the_same_to_every_count() -> None:
    context, candidates = random_observations(4, 1), random_observations(6, seed=1)
    padded = [
        Observations({"grid": F.pad(part["grid"], (0, 24, 0, 24), value=10), "size": part["size"]})
        for part in (context, candidates)
    ]
    assert NULL.scores(*padded).equal(NULL.scores(context, candidates) + 30 * 30 - 6 * 6)


def test_each_contexts_own_candidates_are_counted_as_those_of_all() -> None:
    context, own = random_observations(3, 2), random_observations(3, 4, seed=1)
    scores = NULL.scores(context, own)
    for row in range(3):
        alone = Observations({"grid": own["grid"][row], "size": own["size"][row]})
        assert scores[row].equal(NULL.scores(context, alone)[row])
