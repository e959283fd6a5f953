"""How well predicted embeddings find their target among all candidates, beside what counting equal cells would reach.

Rank = 1 + candidates that score higher + half of those that tie; equal target grids are one candidate. Model and cell
counting rank the same fixed list.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from jepa_core.engine.cell_counting import equal_cell_scores
from jepa_core.engine.representation import (
    mean_reciprocal_rank,
    rank_by_cosine,
    retrieval_ranks,
    share_within,
    unique_candidates,
)


@attrs.frozen
class Retrieval:
    """Figures over one candidate list."""

    mrr: float
    top1: float
    top10: float

    def named(self, prefix: str) -> dict[str, float]:
        """Metric names and values."""
        return {f"{prefix}.mrr": self.mrr, f"{prefix}.top1": self.top1, f"{prefix}.top10": self.top10}


class CandidateList:
    """The fixed list of a split: its distinct target grids."""

    def __init__(self, grids: Tensor) -> None:
        """`grids`: (V, T+1, H, W) of the split."""
        self._last_context, targets = grids[:, -2], grids[:, -1]
        distinct = unique_candidates(targets)
        self.positive, self.representatives = distinct.index, distinct.representatives
        self._candidates = targets[self.representatives]

    @property
    def size(self) -> int:
        """Distinct candidates."""
        return int(self.representatives.numel())

    def by_model(self, z_context: Tensor, z_target: Tensor) -> Retrieval:
        """Rank by cosine similarity of projections (V, P) and (V, P)."""
        return figures_of(rank_by_cosine(z_context, z_target[self.representatives], self.positive))

    def by_cell_counting(self) -> Retrieval:
        """Rank by the share of cells equal to the last context grid's: learns nothing."""
        scores = equal_cell_scores(self._last_context, self._candidates)
        return figures_of(retrieval_ranks(scores, self.positive))


def figures_of(ranks: Tensor) -> Retrieval:
    """Ranks (V,) to figures; one device-to-host copy."""
    figures = torch.stack([mean_reciprocal_rank(ranks), share_within(ranks, 1), share_within(ranks, 10)])
    mrr, top1, top10 = figures.tolist()
    return Retrieval(mrr, top1, top10)
