"""From values to the dots of an axis and back, linear or logarithmic, and which values an axis should span.

Values beyond ±`FARTHEST` count as infinite, so that no difference of two of them overflows; on a logarithmic axis those
below `NEAREST` count as not positive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

FARTHEST = 1e300
NEAREST = 1e-300
_SMALLEST_RELATIVE_SPAN = 1e-9
_PADDING = 0.04
_OUTLYING_SHARE = 2.0
"""Percent of the columns at either end that may be outliers."""
_OUTLYING_FACTOR = 25.0
"""So many times the others' span has an outlier to stretch the axis before it is cut off."""
_OUTLYING_RUN, _OUTLYING_RUN_OF_TWO = 10.0, 1000.0
"""So many times the others' span has a run in an overlay to stretch the axis before it is left out of it."""
_FLATTEST = 0.1
"""A curve flatter than this share of its values is not magnified further by keeping limits out."""
_FLATTEST_LOG = 0.5
"""The same, in decades."""
_LEAST_SPAN = 0.05
"""An axis spans at least this share of its values: a curve that hardly moves must not look as if it did."""
_LIMIT_SHARE = 3.0
"""A limit is brought into view unless it stretches the axis more than so many times."""


@attrs.frozen
class Scale:
    """An axis from `low` to `high`, both finite, positive where it is logarithmic."""

    low: float
    high: float
    log: bool = False

    def dots(self, values: NDArray[np.floating] | float, num_dots: int) -> NDArray[np.intp]:
        """Index of the dot, from the low end; the first or the last one for what lies beyond. Not for not-a-number."""
        low, high = self._ends()
        along = self._along(np.clip(values, self.low, self.high))
        dots = np.floor((along - low) / (high - low) * num_dots)
        return np.asarray(np.clip(dots, 0, num_dots - 1)).astype(np.intp)

    def value_at(self, share: float) -> float:
        """The value a share of the way from `low` to `high`."""
        low, high = self._ends()
        along = low + share * (high - low)
        return float(10.0**along if self.log else along)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def _ends(self) -> tuple[float, float]:
        low, high = self._along(np.array([self.low, self.high])).tolist()
        return low, high

    def _along(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.log10(values) if self.log else values


def x_scale(low: float, high: float) -> Scale:
    """For positions: exactly from `low` to `high`, one apart where they are equal, 0 to 1 where they are no range."""
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        return Scale(0.0, 1.0)
    low, high = _within_reach(low), _within_reach(high)
    return Scale(low, high) if _is_range(low, high) else Scale(*_around(low, 1.0))


def near_ones(spans: Sequence[tuple[float, float]]) -> list[bool]:
    """Of curves from a low to a high value, which an axis should span: all but one that stretches it far too much.

    Of two, one is left out only where it is far beyond any doubt. It is drawn as beyond the edge.
    """
    all_near = [True] * len(spans)
    if len(spans) < 2:
        return all_near
    factor = _OUTLYING_RUN if len(spans) > 2 else _OUTLYING_RUN_OF_TWO
    length = max(high for _, high in spans) - min(low for low, _ in spans)
    for index in sorted(range(len(spans)), key=lambda index: -max(map(abs, spans[index]))):
        others = [span for position, span in enumerate(spans) if position != index]
        low, high = min(low for low, _ in others), max(high for _, high in others)
        if length > factor * max(high - low, _FLATTEST * max(abs(low), abs(high))) > 0:
            return [position != index for position in range(len(spans))]
    return all_near


def y_scale(
    lows: NDArray[np.float64],
    highs: NDArray[np.float64],
    limits: Iterable[float],
    *,
    log: bool,
    is_close: bool = False,
) -> Scale:
    """For values: all of them with some room around, without far outliers, and with the limits that lie near.

    Args:
        lows: the smallest value of every column, finite, positive where `log`; may be empty.
        highs: the greatest value of every column.
        limits: thresholds to bring into view.
        log: whether the axis is logarithmic.
        is_close: whether values that hardly differ shall fill the axis all the same.
    """
    usable = [limit for limit in limits if math.isfinite(limit) and (limit >= NEAREST or not log)]
    if not lows.size:
        low, high = (min(usable), max(usable)) if usable else (0.1, 1.0)
    else:
        low, high = _span(lows, highs) if log else _span_without_outliers(lows, highs)
        low, high = _with_limits(low, high, usable, log=log)
    low, high = _within_reach(low), _within_reach(high)
    least_span = 0.0 if is_close and _is_range(low, high) else _LEAST_SPAN
    return _padded_log(low, high, least_span) if log else _padded(low, high, least_span)


def _span(lows: NDArray[np.float64], highs: NDArray[np.float64]) -> tuple[float, float]:
    return float(lows.min()), float(highs.max())


def _span_without_outliers(lows: NDArray[np.float64], highs: NDArray[np.float64]) -> tuple[float, float]:
    low, high = _span(lows, highs)
    most_low = float(np.percentile(lows, _OUTLYING_SHARE, method="higher"))
    most_high = float(np.percentile(highs, 100 - _OUTLYING_SHARE, method="lower"))
    span = most_high - most_low
    if not _is_range(most_low, most_high) or high - low <= _OUTLYING_FACTOR * span:
        return low, high
    return max(low, most_low - span / 4), min(high, most_high + span / 4)


def _with_limits(low: float, high: float, limits: list[float], *, log: bool) -> tuple[float, float]:
    """Nearest first, so that a far limit does not keep out a near one."""
    span = _length(low, high, log=log)
    flattest = _FLATTEST_LOG if log else _FLATTEST * max(abs(low), abs(high))
    for limit in sorted(limits, key=lambda limit: max(low - limit, limit - high)):
        wider = min(low, limit), max(high, limit)
        if _length(*wider, log=log) <= _LIMIT_SHARE * max(span, flattest):
            low, high = wider
    return low, high


def _length(low: float, high: float, *, log: bool) -> float:
    return math.log10(high) - math.log10(low) if log else high - low


def _padded(low: float, high: float, least_span: float) -> Scale:
    least = least_span * max(abs(low), abs(high))
    if high - low < least or not _is_range(low, high):
        low, high = _around((low + high) / 2, least / 2 or 1.0)
    room = _PADDING * (high - low)
    return Scale(low - room if low < 0 or low - room > 0 else 0.0, high + room)


def _padded_log(low: float, high: float, least_span: float) -> Scale:
    start, end = math.log10(low), math.log10(high)
    least = math.log10(1 + least_span)
    if end - start < least:
        start, end = _around((start + end) / 2, least / 2)
    room = _PADDING * (end - start)
    return Scale(10.0 ** max(start - room, -307.0), 10.0 ** min(end + room, 301.0), log=True)


def _within_reach(value: float) -> float:
    return min(max(value, -FARTHEST), FARTHEST)


def _around(value: float, room: float) -> tuple[float, float]:
    room = max(room, abs(value) * 2 * _SMALLEST_RELATIVE_SPAN, 2 * NEAREST)
    return value - room, value + room


def _is_range(low: float, high: float) -> bool:
    """Whether the two are far enough apart to be told apart along an axis."""
    return high - low > max(NEAREST, _SMALLEST_RELATIVE_SPAN * max(abs(low), abs(high)))
