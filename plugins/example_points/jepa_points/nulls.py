"""What predicts a point set without learning: the last one as it is, or moved on as its middle last moved.

A candidate's score is minus its squared Chamfer distance from what is predicted. Nothing is fitted, and no set's order
counts. Shapes: V contexts of T sets of N points, C candidates.
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
from jepa_points.point_sets import chamfer, middle
from jepa_points.space import PointSpace


@attrs.frozen(kw_only=True)
class LastPointsConfig:
    """The last set of the context, as it is."""

    kind: ClassVar[str] = "last_points"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (PointSpace,)

    def build(self, facts: NullFacts) -> NearPoints:  # noqa: ARG002  # there is always a last one
        return NearPoints(is_moved=False)


@attrs.frozen(kw_only=True)
class MovedPointsConfig:
    """The last set of the context, moved by what its middle moved since the one before."""

    kind: ClassVar[str] = "moved_points"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (PointSpace,)

    def build(self, facts: NullFacts) -> NearPoints | None:
        """None where the context is one set, or where the places are no course."""
        if not facts.is_course:
            return None
        return NearPoints(is_moved=True)


class NearPoints:
    """Predicts the last set, moved on or not."""

    def __init__(self, *, is_moved: bool) -> None:
        self._is_moved = is_moved

    def fit(self, train: Sequences) -> Mapping[str, float]:  # noqa: ARG002  # there is nothing to fit
        """Nothing."""
        return {}

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        """Contexts (V, T, N, …) and candidates (C, N, …) or (V, C, N, …) to (V, C) float32."""
        predicted = self._predicted(context)
        if candidates["mask"].dim() > predicted["mask"].dim():
            return -chamfer(predicted.map(lambda tensor: tensor.unsqueeze(1)), candidates).squeeze(1)
        predicted, listed = (sets.map(lambda tensor: tensor.unsqueeze(0)) for sets in (predicted, candidates))
        return -chamfer(predicted, listed).squeeze(0)

    def _predicted(self, context: Observations) -> Observations:
        """(V, N, …)."""
        if not self._is_moved:
            return context[:, -1]
        points, mask = context["points"], context["mask"]
        middles_VT3 = middle(points, mask)
        is_known_V = mask[:, -2:].any(-1).all(-1)
        move_V3 = torch.where(is_known_V.unsqueeze(1), middles_VT3[:, -1] - middles_VT3[:, -2], 0.0)
        return Observations({"points": points[:, -1] + move_V3.unsqueeze(1), "mask": mask[:, -1]})
