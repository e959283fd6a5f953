"""The null that continues series by autoregression: the linear map of vectors, over steps of time.

The others of series are those of vectors, in `jepa_plugins.vectors.nulls`.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from jepa_core.contracts import Space
from jepa_core.facts import NullFacts
from jepa_core.metrics import Metric
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.vectors.nulls import LinearMap


@attrs.frozen(kw_only=True)
class ContinuedConfig:
    """The target as the context continues it: an autoregression, fitted by ridge regression on training series."""

    kind: ClassVar[str] = "continued"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (SeriesSpace,)

    def build(self, facts: NullFacts) -> LinearMap:
        return LinearMap(facts)
