"""Whether a figure of which more is better still rises at the end of a run. Knows nothing of rules."""

from __future__ import annotations

import math

LAST = 0.2
"""Share of the epochs so far in which the highest value must lie."""

LEAST = 0.02
"""Least relative gain since the first value: smaller ones are noise."""


class Rise:
    """Fed a figure's values in order."""

    def __init__(self) -> None:
        self._first = self._epoch = math.nan
        self._highest = -math.inf
        self._count = 0
        self.highest_epoch = math.nan
        """When the figure was highest; not a number before the first value."""

    def take(self, value: float, epoch: float) -> None:
        """Take in one value; not-a-number is passed over, as no height."""
        self._count += 1
        self._epoch = epoch
        if math.isnan(value):
            return
        if math.isnan(self._first):
            self._first = value
        if value > self._highest:
            self._highest, self.highest_epoch = value, epoch

    @property
    def is_over(self) -> bool:
        """Whether the highest value lies far back, or is hardly above the first; of a single value nothing is known."""
        if self._count < 2:
            return False
        gained = self._highest - self._first > LEAST * abs(self._first)
        return not (gained and self.highest_epoch >= (1 - LAST) * self._epoch)
