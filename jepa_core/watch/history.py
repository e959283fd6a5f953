"""The figures of a run seen so far, as far as rules ask for them: first, last, extremes, and windows of values.

Memory is bounded: only the names asked for are kept, and of each at most `MAX_WINDOW` values.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import attrs

from jepa_core.metrics import Better
from jepa_core.recorded_numbers import decode_row
from jepa_core.watch.ordered_window import OrderedWindow

MAX_WINDOW = 1000
"""Most values that a rule may look back on."""


@attrs.frozen
class Point:
    """One recorded value and when it was recorded."""

    step: float
    epoch: float
    value: float


class Series:
    """The values of one metric."""

    def __init__(self) -> None:
        self.count = 0
        self.first = math.nan
        self.last = math.nan
        self.minimum = math.nan
        self.maximum = math.nan
        self._recent: deque[Point] = deque(maxlen=MAX_WINDOW)
        self._ordered: dict[tuple[int, int], OrderedWindow] = {}

    def append(self, point: Point) -> None:
        value = point.value
        for window in self._ordered.values():
            window.append(value)
        if not self.count:
            self.first = value
        self.count += 1
        self.last = value
        self.minimum = _fmin(self.minimum, value)
        self.maximum = -_fmin(-self.maximum, -value)
        self._recent.append(point)

    def emptied(self) -> Series:
        """One without values, with the same ordered windows."""
        series = Series()
        for window in self._ordered:
            series.ordered(*window)
        return series

    def recent(self, num_values: int, skipped: int = 0) -> tuple[Point, ...]:
        """The `num_values` points before the newest `skipped`, oldest first; fewer when there are no more."""
        newest_first = islice(reversed(self._recent), skipped, skipped + num_values)
        return tuple(newest_first)[::-1]

    def ordered(self, num_values: int, skipped: int) -> OrderedWindow:
        """The same values in order of size. Made when it is first asked for, and kept up to date from then on."""
        window = self._ordered.get((num_values, skipped))
        if window is None:
            window = self._ordered[num_values, skipped] = OrderedWindow(num_values, skipped)
            for point in self._recent:
                window.append(point.value)
        return window


class History:
    """All series of a run, fed row by row."""

    def __init__(
        self, names: Iterable[str], better: Mapping[str, Better] | None = None, epochs: float | None = None
    ) -> None:
        """Keep the series of `names`; `better` says for each metric which direction is good, for `best`."""
        self.epochs = epochs
        """Of the whole run; None when that is not known."""
        self._series = {name: Series() for name in names}
        self._better = dict(better or {})
        self.step = math.nan
        """Of the newest row that said so."""
        self.epoch = math.nan
        """Of the newest row that said so."""

    def observe(self, row: Mapping[str, Any]) -> None:
        """Take in one row. Values that are no figures, and names that nobody asked for, are ignored."""
        self.take(decode_row(row))

    def take(self, figures: Mapping[str, float]) -> None:
        """Take in one row that is decoded already."""
        self.step = _finite(figures.get("step"), self.step)
        self.epoch = _finite(figures.get("epoch"), self.epoch)
        for name, figure in figures.items():
            series = self._series.get(name)
            if series is not None:
                series.append(Point(self.step, self.epoch, figure))

    def begin_anew(self) -> None:
        """Forget all values: those to come are of another network."""
        self._series = {name: series.emptied() for name, series in self._series.items()}

    def first(self, name: str) -> float | None:
        series = self._seen(name)
        return series.first if series else None

    def last(self, name: str) -> float | None:
        series = self._seen(name)
        return series.last if series else None

    def minimum(self, name: str) -> float | None:
        """Lowest value so far, passing over not-a-number."""
        series = self._seen(name)
        return series.minimum if series else None

    def maximum(self, name: str) -> float | None:
        """Highest value so far, passing over not-a-number."""
        series = self._seen(name)
        return series.maximum if series else None

    def best(self, name: str) -> float | None:
        """Lowest or highest value by the metric's declared direction; None when it declares none."""
        match self._better.get(name):
            case "higher":
                return self.maximum(name)
            case "lower":
                return self.minimum(name)
            case _:
                return None

    def window(self, name: str, num_values: int, skipped: int = 0) -> tuple[Point, ...] | None:
        """The `num_values` points before the newest `skipped`, oldest first; None when there are not that many yet."""
        series = self._seen(name)
        is_full = series is not None and series.count >= num_values + skipped
        return series.recent(num_values, skipped) if series and is_full else None

    def ordered(self, name: str, num_values: int, skipped: int = 0) -> OrderedWindow | None:
        """The values of a window in order of size; None when there are not that many yet."""
        series = self._series.get(name)
        window = None if series is None else series.ordered(num_values, skipped)
        return window if window is not None and window.is_full else None

    def recent(self, name: str, num_values: int) -> tuple[Point, ...]:
        """Up to `num_values` newest points, oldest first."""
        series = self._seen(name)
        return series.recent(num_values) if series else ()

    def _seen(self, name: str) -> Series | None:
        series = self._series.get(name)
        return series if series is not None and series.count else None


def _finite(figure: float | None, otherwise: float) -> float:
    return otherwise if figure is None or not math.isfinite(figure) else figure


def _fmin(a: float, b: float) -> float:
    """The lower one; the other when one is not a number."""
    if math.isnan(a):
        return b
    return a if math.isnan(b) or a <= b else b
