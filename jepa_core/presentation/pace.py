"""How fast a run goes and how long it will take, from when its newest steps were done; parts of steps count."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from jepa_core.presentation.quantity import duration_text

APART = 1.0
"""Seconds between two moments that are remembered."""
MOST_MOMENTS = 120
SETTLED_AFTER = 10.0
"""Seconds of steps, after the first, from which a whole run can be told."""


class Pace:
    """Of steps since a run began or went on."""

    def __init__(
        self,
        done: float,
        total: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        is_first_usual: bool = True,
        first_step: str = "first step",
    ) -> None:
        """`done` of `total` steps lie behind it. Where its first step is not a usual one, it says nothing of others;
        `first_step` is what goes on until it is done."""
        self._first_step = first_step
        self.done = done
        self._from = done if is_first_usual else done + 1
        self._total = total
        self._clock = clock
        self._began = clock()
        self._moments = deque([(self._began, done)], maxlen=MOST_MOMENTS)

    def note(self, done: float) -> None:
        """So many steps are done now."""
        now = self._clock()
        if len(self._moments) > 1 and now - self._moments[-2][0] < APART:
            self._moments.pop()
        if self.done < self._from <= done:
            self._moments.clear()
        self._moments.append((now, done))
        self.done = done

    @property
    def seconds_per_step(self) -> float | None:
        """Validations and what else lies between steps included; None before the first part of a step is done."""
        (began, before), (now, done) = self._measured()
        return (now - began) / (done - before) if done > before >= self._from else None

    @property
    def seconds_left(self) -> float | None:
        """To the last step."""
        seconds = self.seconds_per_step
        return None if seconds is None else seconds * (self._total - self.done)

    @property
    def is_settled(self) -> bool:
        """Whether a first step that takes long, as many do, no longer counts, and enough others were seen."""
        (began, _), (now, _) = self._measured()
        return len(self._moments) > 2 and now - began >= SETTLED_AFTER

    def describe(self) -> str:
        """Such as "1.2 s a step, 12 min 3 s left"; how long it has been waited for before there is anything to tell."""
        seconds, left = self.seconds_per_step, self.seconds_left
        if seconds is None or left is None:
            return f"{self._first_step}, {self._clock() - self._began:.0f} s"
        return f"{step_time_text(seconds)} a step, {duration_text(left)} left"

    def _measured(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The moments between which steps are counted: the first step is left out as soon as there are others."""
        return self._moments[1 if len(self._moments) > 2 else 0], self._moments[-1]


def step_time_text(seconds: float) -> str:
    """0.0123 → "12 ms", 1.234 → "1.2 s", 75.2 → "1 min 15 s"."""
    return f"{1000 * seconds:.0f} ms" if seconds < 0.1 else duration_text(seconds)
