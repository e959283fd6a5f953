"""Sums of context grids, compared with candidates by cosine: the last grid, an analogy of pairs, an extrapolation.

A grid is a vector φ of four blocks: its cells one-hot (the outside is a colour), which colours it has, the share of
each, and its height and width one-hot. What is predicted is a fixed sum of the context's vectors, as word analogies
are (Mikolov, Yih & Zweig 2013: king − man + woman). The weight of each block is found on training windows by a search
over a few values.

Shapes: V contexts of T grids, C candidates, L = H · W cells, K colours with the outside, F features of a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Observations, Sequences, Space
from jepa_core.facts import NullFacts, Role
from jepa_core.metrics import Metric
from jepa_plugins.grids.colours import NUM_COLOURS
from jepa_plugins.grids.space import GridSpace

_WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Tried for each block beside the cells, whose weight is 1."""

_SWEEPS = 2
"""Rounds of the search, a block after the other."""

_ROWS_AT_ONCE = 128
"""Bounds the one-hot copies of contexts: T of 5 MB for a grid of 30 × 30."""

_BLOCKS = ("palette", "shares", "size")
"""Beside the cells."""


@attrs.frozen(kw_only=True)
class PaletteAndSizeConfig:
    """Cells, palette and size of the last context grid."""

    kind: ClassVar[str] = "palette_and_size"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    def build(self, facts: NullFacts) -> LinearNull:
        return LinearNull([0.0] * (len(facts.roles) - 2) + [1.0], facts)


@attrs.frozen(kw_only=True)
class PairAnalogyConfig:
    """The last grid, changed as the pairs before it: last + mean of (out − in)."""

    kind: ClassVar[str] = "pair_analogy"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    def build(self, facts: NullFacts) -> LinearNull | None:
        """None where the context has no whole pair before an input."""
        places = pairs_of(facts.roles[:-1])
        if not places or facts.roles[-2:] != ("input", "output"):
            return None
        coefficients = [0.0] * (len(facts.roles) - 1)
        for before, after in places:
            coefficients[before] -= 1 / len(places)
            coefficients[after] += 1 / len(places)
        coefficients[-1] += 1.0
        return LinearNull(coefficients, facts)


@attrs.frozen(kw_only=True)
class ExtrapolationConfig:
    """The last step made once more: 2 × the last grid − the one before."""

    kind: ClassVar[str] = "extrapolation"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    def build(self, facts: NullFacts) -> LinearNull | None:
        """None where there is one context grid, or where the places are no course."""
        if not facts.is_course:
            return None
        return LinearNull([0.0] * (len(facts.roles) - 3) + [-1.0, 2.0], facts)


def pairs_of(roles: tuple[Role, ...]) -> list[tuple[int, int]]:
    """Where an input is followed by its output."""
    return [(place, place + 1) for place in range(len(roles) - 1) if roles[place : place + 2] == ("input", "output")]


@attrs.frozen
class _Blocks:
    """Features of grids by block, as a candidate has them or as a sum predicts them."""

    cells: Tensor
    """(..., L, K) of a prediction; (..., L) uint8 of candidates, whose cells are one-hot."""
    others: Mapping[str, Tensor]
    """Block → (..., F)."""


@attrs.frozen
class _Products:
    """Scalar products of predictions with candidates, and squared lengths of candidates, by block."""

    with_candidates: Mapping[str, Tensor]
    """Block → (V, C)."""
    lengths: Mapping[str, Tensor]
    """Block → (C,) or (V, C)."""

    def cosines(self, weights: Mapping[str, float]) -> Tensor:
        """(V, C): cosines, but for the length of the prediction, which changes no ranking."""
        product = sum(weight * self.with_candidates[block] for block, weight in weights.items())
        length = sum(weight * self.lengths[block] for block, weight in weights.items())
        return torch.as_tensor(product) / torch.as_tensor(length).sqrt()


class LinearNull:
    """Predicts φ of the target as Σ coefficient × φ of each context grid."""

    def __init__(self, coefficients: list[float], facts: NullFacts) -> None:
        self._coefficients = coefficients
        self._num_colours = NUM_COLOURS
        self._largest = facts.space.side
        self.weights: dict[str, float] = {"cells": 1.0, **dict.fromkeys(_BLOCKS, 0.1)}

    def fit(self, train: Sequences) -> Mapping[str, float]:
        """Weights of the blocks, by the mean reciprocal rank of training targets among each other."""
        targets = torch.unique(train.observations["grid"][:, -1].flatten(1), dim=0, return_inverse=True)[1]
        first = torch.full((int(targets.max()) + 1,), len(targets), device=targets.device)
        first = first.scatter_reduce(0, targets, torch.arange(len(targets), device=targets.device), "amin")
        products = self._products(
            train.observations[:, :-1],
            train.observations[first, -1],
        )
        best = _mrr(products.cosines(self.weights), targets)
        for block, weight in chain.from_iterable([(b, w) for b in _BLOCKS for w in _WEIGHTS] for _ in range(_SWEEPS)):
            tried = {**self.weights, block: weight}
            mrr = _mrr(products.cosines(tried), targets)
            if mrr > best:
                best, self.weights = mrr, tried
        return dict(self.weights)

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        """(V, C) float32: cosines up to a factor of each context's own."""
        return self._products(context, candidates).cosines(self.weights)

    def _products(self, context: Observations, candidates: Observations) -> _Products:
        with torch.autocast(device_type=context["grid"].device.type, enabled=False):
            theirs = self._described(candidates["grid"], candidates["size"])
            rows = [
                self._row_products(context["grid"][part], context["size"][part], theirs, part)
                for part in torch.arange(len(context["grid"]), device=context["grid"].device).split(_ROWS_AT_ONCE)
            ]
            lengths = {name: block.square().sum(-1) for name, block in theirs.others.items()}
        lengths["cells"] = torch.ones((), device=context["grid"].device)
        return _Products({name: torch.cat([row[name] for row in rows]) for name in rows[0]}, lengths)

    def _row_products(self, grids: Tensor, sizes: Tensor, theirs: _Blocks, part: Tensor) -> dict[str, Tensor]:
        """Block → (rows, C), of some contexts with all candidates or with their own."""
        predicted = self._predicted(grids, sizes)
        if theirs.cells.ndim == 2:
            one_hot = (self._one_hot(part).flatten(1) for part in theirs.cells.split(_ROWS_AT_ONCE))
            cells = [predicted.cells.flatten(1) @ columns.T for columns in one_hot]
            others = {name: predicted.others[name] @ block.T for name, block in theirs.others.items()}
            return {"cells": torch.cat(cells, 1) / predicted.cells.shape[1], **others}
        codes = theirs.cells[part].long().transpose(1, 2)
        cells_V = predicted.cells.gather(2, codes).mean(1)
        others = {
            name: torch.einsum("vf,vcf->vc", predicted.others[name], b[part]) for name, b in theirs.others.items()
        }
        return {"cells": cells_V, **others}

    def _predicted(self, grids: Tensor, sizes: Tensor) -> _Blocks:
        """The sum over the T context grids of (V, T, H, W)."""
        terms = [
            (coefficient, grids[:, place], self._described(grids[:, place], sizes[:, place]).others)
            for place, coefficient in enumerate(self._coefficients)
            if coefficient
        ]
        cells = sum(c * self._one_hot(g.flatten(1)) for c, g, _ in terms)
        others = {name: torch.as_tensor(sum(c * blocks[name] for c, _, blocks in terms)) for name in _BLOCKS}
        # A grid has a colour or not, whatever is added or taken away.
        return _Blocks(torch.as_tensor(cells), {**others, "palette": others["palette"].clamp(0, 1)})

    def _described(self, grids: Tensor, sizes: Tensor) -> _Blocks:
        """Grids (..., H, W) and sizes (..., 2)."""
        cells = grids.flatten(-2)
        counts = torch.zeros(*cells.shape[:-1], self._num_colours, device=cells.device)
        counts = counts.scatter_add(-1, cells.long(), torch.ones_like(cells, dtype=counts.dtype))[..., :-1]
        num_cells = sizes.prod(-1, keepdim=True).clamp(min=1)
        size = F.one_hot(sizes.clamp(max=self._largest), self._largest + 1).flatten(-2).float()
        return _Blocks(cells, {"palette": (counts > 0).float(), "shares": counts / num_cells, "size": size})

    def _one_hot(self, cells: Tensor) -> Tensor:
        """(..., L) uint8 to (..., L, K) float32."""
        one_hot = torch.zeros(*cells.shape, self._num_colours, device=cells.device)
        return one_hot.scatter_(-1, cells.long().unsqueeze(-1), 1.0)


def _mrr(scores: Tensor, positive: Tensor) -> float:
    own = scores.gather(1, positive[:, None])
    num_ties = (scores == own).sum(1) - 1
    ranks = 1 + (scores > own).sum(1) + num_ties / 2
    return float(ranks.reciprocal().mean())
