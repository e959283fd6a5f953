"""Where in training a row lies: step, epoch and seconds of training, from the rows alone. No clock is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs


@attrs.define(kw_only=True)
class TrainingClock:
    """Fed row by row. A row that does not say its step or epoch lies where the one before it lies."""

    step: float = math.nan
    """Not a number until a row says it; likewise the epoch."""
    epoch: float = math.nan
    seconds: float = 0.0
    """The sum of steps × `time.step`; never decreases."""
    step_seconds: float = 0.0
    """The newest `time.step`."""
    is_regular: bool = True
    """Every row so far said its step and epoch, or followed one that did, and neither ever decreased."""

    def observe(self, row: Mapping[str, float]) -> None:
        """Move on to `row`."""
        step, epoch = _finite(row.get("step"), self.step), _finite(row.get("epoch"), self.epoch)
        self.is_regular &= _goes_on(self.step, step) and _goes_on(self.epoch, epoch)
        step_seconds = _finite(row.get("time.step"), self.step_seconds)
        if step_seconds >= 0:
            self.step_seconds = step_seconds
        self._pass(step - (0.0 if math.isnan(self.step) else self.step))
        self.step, self.epoch = step, epoch

    def _pass(self, steps: float) -> None:
        seconds = self.seconds + steps * self.step_seconds
        if steps > 0 and math.isfinite(seconds):
            self.seconds = seconds


def _finite(value: float | None, otherwise: float) -> float:
    return otherwise if value is None or not math.isfinite(value) else value


def _goes_on(before: float, now: float) -> bool:
    return now >= before or (math.isnan(before) and not math.isnan(now))
