"""Where a metric is heading: a straight line through its newest values. Knows nothing of rules."""

from __future__ import annotations

import math

import attrs
import numpy as np
from numpy.typing import NDArray

from jepa_monitor.history.series import Series

LEAST_VALUES = 5
"""Fewer than that have no trend."""
NEWEST_VALUES = 20
"""As many of the newest values at least, where there are, and the newest tenth of a longer series."""
MOST_VALUES = 1000
BELIEVED = 3.0
"""A trend is believed to go on for so many times as long as it has been seen."""
CLEAR = 2.0
"""Standard errors that a slope has to differ from zero by: less may be chance."""


@attrs.frozen
class Trend:
    """A least-squares line over steps."""

    step: float
    """Of the newest value."""
    value: float
    """Of the line there."""
    slope: float
    """Per step."""
    seen: float
    """Steps from the first of the values to the newest."""

    def meets(self, limit: float) -> float | None:
        """The step from now on at which the line is at `limit`; None when it leads away from it, is level, or is there
        later than it is believed to go on."""
        if self.slope == 0:
            return None
        steps = (limit - self.value) / self.slope
        return self.step + steps if 0 <= steps <= BELIEVED * self.seen else None


def trend_of(series: Series) -> Trend | None:
    """The trend of the newest finite values; None when there are too few, or when it may be chance."""
    num_values = min(max(NEWEST_VALUES, len(series) // 10), MOST_VALUES)
    steps, values = series.steps[-num_values:], series.values[-num_values:]
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if len(values) < LEAST_VALUES or steps[-1] <= steps[0]:
        return None
    with np.errstate(all="ignore"):  # figures without bounds give no trend, and no warning
        return _line(steps - steps[-1], values.astype(np.float64), float(steps[-1]))


def _line(steps: NDArray[np.floating], values: NDArray[np.floating], newest: float) -> Trend | None:
    scale = float(np.abs(values).max()) or 1.0
    scaled = values / scale
    centred = steps - steps.mean()
    spread = float(centred @ centred)
    if not 0 < spread < math.inf:
        return None
    slope = float(centred @ scaled) / spread
    residuals = scaled - scaled.mean() - slope * centred
    error = math.sqrt(float(residuals @ residuals) / (len(scaled) - 2) / spread)
    if not math.isfinite(slope * scale) or abs(slope) <= CLEAR * error:
        return None
    value = float(scaled.mean()) - slope * float(steps.mean())
    return Trend(step=newest, value=value * scale, slope=slope * scale, seen=-float(steps[0]))
