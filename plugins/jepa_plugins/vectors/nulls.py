"""What predicts vectors or series without learning: the last, a line through the last two, the mean, a linear map.

A candidate's score is minus its squared distance to what is predicted, each channel in units of its standard deviation
over the training sample, so that none counts for its scale alone. The linear map is fitted in `ridge`.

Shapes: V contexts of T observations, C candidates, F numbers of an observation flattened, K channels.
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
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.vectors.real_values import NUMBERS_AT_ONCE, ChannelFigures, parts_of
from jepa_plugins.vectors.ridge import RidgeMap, fitted_ridge
from jepa_plugins.vectors.space import VectorSpace


@attrs.frozen(kw_only=True)
class LastValuesConfig:
    """The last observation of the context, as it is."""

    kind: ClassVar[str] = "last_values"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (SeriesSpace, VectorSpace)

    def build(self, facts: NullFacts) -> SumOfValues:
        return SumOfValues([0.0] * (len(facts.roles) - 2) + [1.0])


@attrs.frozen(kw_only=True)
class ValuesExtrapolationConfig:
    """The last step made once more: 2 × the last observation − the one before."""

    kind: ClassVar[str] = "values_extrapolation"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (SeriesSpace, VectorSpace)

    def build(self, facts: NullFacts) -> SumOfValues | None:
        """None where the context is one observation, or where the places are no course."""
        if not facts.is_course:
            return None
        return SumOfValues([0.0] * (len(facts.roles) - 3) + [-1.0, 2.0])


@attrs.frozen(kw_only=True)
class MeanValuesConfig:
    """The mean of the context's observations."""

    kind: ClassVar[str] = "mean_values"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (SeriesSpace, VectorSpace)

    def build(self, facts: NullFacts) -> SumOfValues:
        num_context = len(facts.roles) - 1
        return SumOfValues([1 / num_context] * num_context)


@attrs.frozen(kw_only=True)
class LinearMapConfig:
    """The target as a linear map of the context, fitted by ridge regression on training sequences."""

    kind: ClassVar[str] = "linear_map"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (VectorSpace,)

    def build(self, facts: NullFacts) -> LinearMap:
        return LinearMap(facts)


class SumOfValues:
    """Predicts the target as Σ coefficient × each observation of the context."""

    def __init__(self, coefficients: list[float]) -> None:
        self._coefficients = coefficients
        self._scale = torch.ones(())

    def fit(self, train: Sequences) -> Mapping[str, float]:
        """The channels' scales: the smallest and the largest."""
        self._scale = scale_of(train.observations["values"])
        return {"least_scale": float(self._scale.min()), "largest_scale": float(self._scale.max())}

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        """Of contexts (V, T, …) and candidates (C, …) or (V, C, …): (V, C) float32."""
        values = context["values"]
        coefficients = torch.tensor(self._coefficients, dtype=torch.float64, device=values.device)
        scale = self._scale.to(values.device)
        predicted = [torch.einsum("t,vt...->v...", coefficients, part.double() / scale) for part in parts_of(values)]
        return nearness(torch.cat(predicted).flatten(1), candidates["values"], scale, values.dim() - 2)


class LinearMap:
    """Predicts the target from the flattened context, by weights fitted in closed form."""

    def __init__(self, facts: NullFacts) -> None:
        self._num_dims = facts.space.sample(1)["values"].dim() - 1
        """Of one observation."""
        self._map: RidgeMap | None = None
        self._scale = torch.ones(())

    def fit(self, train: Sequences) -> Mapping[str, float]:
        """Ridge, whether differences to the last step are mapped, how many numbers enter, and the share of the
        targets' variance that is left unexplained, leaving each sequence out in turn."""
        values = train.observations["values"]
        self._scale = scale_of(values)
        steps = self._steps(values.double() / self._scale)
        num_targets = steps.shape[1] // values.shape[1]
        self._map = fitted_ridge(steps[:, :-num_targets], steps[:, -num_targets:])
        return self._map.figures

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        """Of contexts (V, T, …) and candidates (C, …) or (V, C, …): (V, C) float32."""
        assert self._map is not None, "fitted first"
        values = context["values"]
        scale = self._scale.to(values.device)
        predicted = [self._map.predicted(self._steps(part.double() / scale)) for part in parts_of(values)]
        return nearness(torch.cat(predicted), candidates["values"], scale, values.dim() - 2)

    def _steps(self, values: Tensor) -> Tensor:
        """(S, T, L, K) or (S, T, K) to (S, steps, K), in order of time."""
        return values.flatten(1, self._num_dims)


def scale_of(values: Tensor) -> Tensor:
    """Values (S, …, K) to (K,) float64: standard deviations, 1 where a channel is constant."""
    found = ChannelFigures.of(values)
    return torch.where(found.is_constant | (found.std == 0), 1.0, found.std)


def nearness(predicted_VF: Tensor, candidates: Tensor, scale: Tensor, num_dims: int) -> Tensor:
    """(V, C) float32: minus squared distances, in units of `scale`, of candidates in `num_dims` dimensions each.

    In float64: small differences of large numbers count, and TF32 would lose them.
    """
    if candidates.dim() > num_dims + 1:
        rows = max(1, NUMBERS_AT_ONCE // max(1, candidates[:1].numel()))
        pairs = zip(predicted_VF.split(rows), candidates.split(rows), strict=True)
        parts = [((own.double() / scale).flatten(2) - mine[:, None]).square().sum(2) for mine, own in pairs]
    else:
        theirs_CF = torch.cat([(part.double() / scale).flatten(1) for part in parts_of(candidates)])
        lengths_C = theirs_CF.square().sum(1)
        rows = max(1, NUMBERS_AT_ONCE // max(1, len(theirs_CF)))
        parts = [
            (mine.square().sum(1, keepdim=True) + lengths_C - 2 * mine @ theirs_CF.T).clamp(min=0)
            for mine in predicted_VF.split(rows)
        ]
    least = torch.finfo(torch.float32).min
    return torch.cat([(-part).clamp(min=least).float() for part in parts])
