"""Counting equal cells: how many cells a candidate shares with the last context grid.

Shapes: V contexts of T grids, C candidates, H × W cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Observations, Sequences, Space
from jepa_core.facts import NullFacts
from jepa_core.metrics import Metric
from jepa_plugins.grids.colours import NUM_COLOURS
from jepa_plugins.grids.space import GridSpace

_ROWS_AT_ONCE = 1024
"""Bounds the one-hot copies: 40 MB for grids of 30 × 30."""


@attrs.frozen(kw_only=True)
class EqualCellsConfig:
    """Count the cells that a candidate shares with the last context grid."""

    kind: ClassVar[str] = "equal_cells"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    def build(self, facts: NullFacts) -> EqualCells:  # noqa: ARG002  # the same on grids of every side
        return EqualCells()


class EqualCells:
    """The outside of a grid is a colour too, so that sizes count. Nothing is fitted."""

    def fit(self, train: Sequences) -> Mapping[str, float]:  # noqa: ARG002  # there is nothing to fit
        """Nothing."""
        return {}

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        """(V, C) float32: equal cells, an exact count."""
        last_VHW = context["grid"][:, -1]
        if candidates["grid"].ndim > 3:
            return (candidates["grid"] == last_VHW[:, None]).flatten(2).sum(2, dtype=torch.float32)
        with torch.autocast(device_type=last_VHW.device.type, enabled=False):
            columns = [self._one_hot(part) for part in candidates["grid"].split(_ROWS_AT_ONCE)]
            rows = map(self._one_hot, last_VHW.split(_ROWS_AT_ONCE))
            return torch.cat([torch.cat([one_hot @ column.T for column in columns], dim=1) for one_hot in rows])

    def _one_hot(self, grids: Tensor) -> Tensor:
        """(K, H, W) to (K, H · W · colours). Zeros and ones survive TF32, and their sums are exact in float32."""
        cells = grids.flatten(1).long().unsqueeze(2)
        return torch.zeros(*cells.shape[:2], NUM_COLOURS, device=cells.device).scatter_(2, cells, 1.0).flatten(1)
