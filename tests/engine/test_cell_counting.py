"""Counting equal cells against comparing them one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.engine import cell_counting
from jepa_core.engine.cell_counting import equal_cell_scores


def random_grids(num: int, side: int = 6) -> Tensor:
    return torch.randint(0, 11, (num, side, side), dtype=torch.uint8)


def compared_cell_by_cell(last_context: Tensor, candidates: Tensor) -> Tensor:
    return (last_context[:, None] == candidates[None]).flatten(2).sum(-1).float()


def test_scores_are_the_numbers_of_equal_cells_outside_included() -> None:
    last_context, candidates = random_grids(7), random_grids(5)
    assert equal_cell_scores(last_context, candidates).equal(compared_cell_by_cell(last_context, candidates))


def test_many_grids_are_counted_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_counting, "_ROWS_AT_ONCE", 3)
    last_context, candidates = random_grids(7), random_grids(8)
    assert equal_cell_scores(last_context, candidates).equal(compared_cell_by_cell(last_context, candidates))


def test_counts_stay_exact_under_autocast() -> None:
    grids = random_grids(4, side=30)
    with torch.autocast("cpu", torch.bfloat16):
        scores = equal_cell_scores(grids, grids)
    assert scores.dtype == torch.float32
    assert scores.equal(compared_cell_by_cell(grids, grids))


def test_padding_to_30_by_30_adds_the_same_to_every_count() -> None:
    last_context, candidates = random_grids(4), random_grids(6)
    padded = equal_cell_scores(*(F.pad(grids, (0, 24, 0, 24), value=10) for grids in (last_context, candidates)))
    assert padded.equal(equal_cell_scores(last_context, candidates) + 30 * 30 - 6 * 6)
