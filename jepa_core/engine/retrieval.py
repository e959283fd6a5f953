"""How well predicted embeddings, or the scores of a null, find each target among all candidates of a split.

Rank = 1 + candidates that score higher + half of those that tie; equal targets are one candidate. Model and nulls
rank the same fixed list, so that their reciprocal ranks can be paired.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Observations, Space
from jepa_core.engine.representation import (
    mean_reciprocal_rank,
    rank_by_cosine,
    retrieval_ranks,
    share_within,
    unique_candidates,
)

BOOTSTRAP_DRAWS = 2000


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
    """The fixed list of a split: its distinct targets."""

    def __init__(self, space: Space, observations: Observations) -> None:
        """`observations` (V, T+1, …) of the split."""
        targets = observations[:, -1]
        distinct = unique_candidates(space.keys(targets))
        self.positive, self.representatives = distinct.index, distinct.representatives
        self.context = observations[:, :-1]
        self.candidates = targets[self.representatives]

    @property
    def size(self) -> int:
        """Distinct candidates."""
        return int(self.representatives.numel())

    def model_ranks(self, z_context: Tensor, z_target: Tensor) -> Tensor:
        """(V,): ranks by cosine similarity of projections (V, P) and (V, P)."""
        return rank_by_cosine(z_context, z_target[self.representatives], self.positive)

    def ranks(self, scores: Tensor) -> Tensor:
        """(V,): ranks by the scores (V, C) of a null."""
        return retrieval_ranks(scores, self.positive)


def figures_of(ranks: Tensor) -> Retrieval:
    """Ranks (V,) to figures; one device-to-host copy."""
    figures = torch.stack([mean_reciprocal_rank(ranks), share_within(ranks, 1), share_within(ranks, 10)])
    mrr, top1, top10 = figures.tolist()
    return Retrieval(mrr, top1, top10)


@attrs.frozen
class PairedDifference:
    """Mean difference of reciprocal ranks over the same sequences, with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def paired_difference(ranks: Tensor, others: Tensor, groups: Tensor) -> PairedDifference:
    """How far the reciprocal ranks (V,) are above others' on the same sequences.

    Whole groups (V,) are drawn with replacement (a cluster bootstrap; Efron & Tibshirani 1993, chapter 8), since
    sequences of one task are no independent evidence. The draws are the same every time.
    """
    difference = (ranks.double().reciprocal() - others.double().reciprocal()).cpu()
    _, group, count = groups.cpu().unique(return_inverse=True, return_counts=True)
    total = torch.zeros(len(count), dtype=torch.float64).index_add(0, group, difference)
    drawn = torch.randint(len(count), (BOOTSTRAP_DRAWS, len(count)), generator=torch.Generator().manual_seed(0))
    means = total[drawn].sum(1) / count[drawn].sum(1)
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return PairedDifference(float(difference.mean()), low, high)
