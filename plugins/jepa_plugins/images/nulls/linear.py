"""Fixed sums of the context's frames: the last, their mean, and the last step made once more.

Shapes: V contexts of T frames, N candidates, C channels, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Observations, Sequences, Space
from jepa_core.facts import NullFacts
from jepa_core.metrics import Metric
from jepa_plugins.images.nulls.frame_distance import nearness
from jepa_plugins.images.space import ImageSpace


@attrs.frozen(kw_only=True)
class LastFrameConfig:
    """Distance of pixels from the last context image."""

    kind: ClassVar[str] = "last_frame"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (ImageSpace,)

    def build(self, facts: NullFacts) -> LinearFrames:
        return LinearFrames([0.0] * (len(facts.roles) - 2) + [1.0])


@attrs.frozen(kw_only=True)
class MeanFrameConfig:
    """Distance of pixels from the mean of the context images."""

    kind: ClassVar[str] = "mean_frame"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (ImageSpace,)

    def build(self, facts: NullFacts) -> LinearFrames | None:
        """None where there is one context image: the mean is the last."""
        context_length = len(facts.roles) - 1
        return LinearFrames([1 / context_length] * context_length) if context_length > 1 else None


@attrs.frozen(kw_only=True)
class FrameExtrapolationConfig:
    """The last step made once more, pixel by pixel: 2 × the last image − the one before."""

    kind: ClassVar[str] = "frame_extrapolation"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (ImageSpace,)

    def build(self, facts: NullFacts) -> LinearFrames | None:
        """None where there is one context image, or where the places are no course."""
        if not facts.is_course:
            return None
        return LinearFrames([0.0] * (len(facts.roles) - 3) + [-1.0, 2.0])


class LinearFrames:
    """Predicts the target as Σ coefficient × each context frame, held within [0, 1]. Nothing is fitted."""

    def __init__(self, coefficients: Sequence[float]) -> None:
        self._coefficients = coefficients

    def fit(self, train: Sequences) -> Mapping[str, float]:  # noqa: ARG002  # there is nothing to fit
        """Nothing."""
        return {}

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        """Contexts (V, T, C, H, W) to (V, N) float32."""
        return nearness(self._predicted(context["pixels"]), candidates["pixels"])

    def _predicted(self, frames: Tensor) -> Tensor:
        """(V, T, C, H, W) to (V, C, H, W)."""
        terms = [weight * frames[:, place] for place, weight in enumerate(self._coefficients) if weight]
        return torch.stack(terms).sum(0).clamp(0, 1)
