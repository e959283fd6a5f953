"""A window of a metric's values in order of size: median, quantiles and spread at the cost of one insertion a row.

Values that are not a number are passed over. Knows nothing of rules.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

NORMAL_QUARTILES = 1.349
"""Distance between the quartiles of normal noise, in its standard deviations."""


class OrderedWindow:
    """The `num_values` values before the newest `skipped`."""

    def __init__(self, num_values: int, skipped: int = 0) -> None:
        self._skipped = skipped
        self._num_values = num_values
        self._values: deque[float] = deque()
        """The window's and the skipped ones, oldest first."""
        self._sorted: list[float] = []
        self.lowest_median = math.nan
        """Of all full windows so far."""
        self.highest_median = math.nan
        self.is_full = False
        self._median = math.nan
        self._spread: float | None = None
        """Of the values now; None until it is asked for."""

    def append(self, value: float) -> None:
        """Take in the newest value."""
        if self.is_full:
            leaving = self._values.popleft()
            if not math.isnan(leaving):
                del self._sorted[bisect_left(self._sorted, leaving)]
        self._values.append(value)
        if len(self._values) > self._skipped:
            entering = self._values[-1 - self._skipped]
            if not math.isnan(entering):
                insort(self._sorted, entering)
        self.is_full = self.is_full or len(self._values) == self._num_values + self._skipped
        # Several rules ask for the same figures on a row.
        self._spread = None
        if self.is_full:
            self._median = self.quantile(0.5)
            self._note_extremes(self._median)

    def median(self) -> float:
        """Of a full window."""
        return self._median

    def spread(self) -> float:
        """The standard deviation that normal noise with these quartiles would have."""
        if self._spread is None:
            self._spread = (self.quantile(0.75) - self.quantile(0.25)) / NORMAL_QUARTILES
        return self._spread

    def quantile(self, share: float) -> float:
        """The value below which `share` of the window lies, between two values in proportion; nan of none."""
        values = self._sorted
        if not values:
            return math.nan
        place = share * (len(values) - 1)
        index = int(place)
        low, above = values[index], place - index
        high = values[index + 1] if above else low
        # Equal ones first: between two infinities there is nothing to go by.
        return low if low == high else low + above * (high - low)

    def _note_extremes(self, median: float) -> None:
        if math.isnan(median):
            return
        if not self.lowest_median <= median:
            self.lowest_median = median
        if not self.highest_median >= median:
            self.highest_median = median
