"""A bag of local patterns: which surroundings of cells occur in the last input and in a candidate, rare ones first.

A pair without demonstrations does not say which rule is meant: the output may be the input turned, moved, recoloured
or cut at a threshold. The borders around each cell survive most of that, if they are taken from the grid cut at every
colour number, and told the same whichever way the grid is turned (`jepa_plugins.grids.local_patterns`). They are
counted and weighed as words of documents are (inverse document frequency, Spärck Jones 1972); rarity is counted on
training grids.

Shapes: V contexts, C candidates, M grids, L = 9 levels, K bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Observations, Sequences, Space
from jepa_core.facts import NullFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.local_patterns import LocalPatterns
from jepa_plugins.grids.space import GridSpace

_GRIDS_AT_ONCE = 64
_FITTED_SEQUENCES = 256
_COLOURS = torch.arange(OUTSIDE - 1, dtype=torch.uint8)
"""A level holds the cells above one of these colour numbers."""


@attrs.frozen(kw_only=True)
class LocalPatternsConfig:
    """A bag of turned-alike local patterns, for pairs without demonstrations."""

    kind: ClassVar[str] = "local_patterns"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    radius: int = setting("cells around a cell that make its pattern", default=2, at_least=1, at_most=3, unit="cells")
    bins: int = setting("patterns that are told apart, by their hash", default=4096, at_least=2)

    def build(self, facts: NullFacts) -> LocalPatternsNull | None:
        """None where the context has outputs or is a course: then sums of its grids are stronger, and faster."""
        is_plain_pair = facts.roles[-1] == "output" and set(facts.roles[:-1]) == {"input"}
        return LocalPatternsNull(self) if is_plain_pair else None


class LocalPatternsNull:
    """Cosine of weighted bags; the weights are fitted by counting."""

    def __init__(self, config: LocalPatternsConfig) -> None:
        self._bins = config.bins
        self._patterns = LocalPatterns(config.radius, "borders", config.bins)
        self._rarity_K = torch.ones(config.bins)

    def fit(self, train: Sequences) -> Mapping[str, float]:
        """How rare each pattern is among the grids of the training sequences; how many of them occur."""
        counts = self._counts(train.observations["grid"][:_FITTED_SEQUENCES, -2:].flatten(0, 1))
        in_grids_K = (counts > 0).float().sum(0)
        self._rarity_K = ((len(counts) + 1) / (in_grids_K + 1)).log()
        return {"patterns": float((in_grids_K > 0).sum())}

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        """(V, C) float32: cosines of the last input's bag and the candidates'."""
        last_VK = self._bags(context["grid"][:, -1])
        theirs = self._bags(candidates["grid"].flatten(0, -3))
        if candidates["grid"].ndim == 3:
            return last_VK @ theirs.T
        return torch.einsum("vk,vck->vc", last_VK, theirs.unflatten(0, candidates["grid"].shape[:2]))

    def _bags(self, grids: Tensor) -> Tensor:
        """(M, H, W) to (M, K), unit length."""
        counts = self._counts(grids)
        return F.normalize(counts.sqrt() * self._rarity_K.to(counts.device), dim=1)

    def _counts(self, grids: Tensor) -> Tensor:
        """(M, H, W) to (M, K) float32: how often each pattern occurs over all levels."""
        patterns = self._patterns.to(grids.device)
        colours = _COLOURS.to(grids.device)[:, None, None]
        parts = []
        for part in grids.split(_GRIDS_AT_ONCE):
            levels = torch.where(part[:, None] == OUTSIDE, OUTSIDE, (part[:, None] > colours).to(torch.uint8))
            facts = patterns.facts(levels.flatten(0, 1)).unflatten(0, levels.shape[:2])
            # Hashing is what costs time, and most surroundings have no border.
            row, *place = patterns.told_by(facts).nonzero(as_tuple=True)
            numbers = patterns.numbers(facts[row, *place])
            counts = torch.zeros(len(part) * self._bins, device=grids.device)
            added = torch.ones_like(numbers, dtype=counts.dtype)
            parts.append(counts.scatter_add(0, row * self._bins + numbers, added).view(len(part), -1))
        return torch.cat(parts)
