"""How fast the demo's steps pass: evenly, so that the whole story takes the seconds asked for."""

from __future__ import annotations

from collections.abc import Callable

from jepa_core.run_directory.clock import Clock


class Pace:
    """Keeps steps to their dates by a clock that is never set back; a late step is not waited for."""

    def __init__(self, seconds_per_step: float, clock: Clock, sleep: Callable[[float], None]) -> None:
        self.seconds_per_step = seconds_per_step
        self._clock = clock
        self._sleep = sleep
        self._due = clock.monotonic()

    def pass_step(self) -> None:
        """A step is done; it is waited for in `wait`."""
        self._due += self.seconds_per_step

    def wait(self) -> None:
        """Sleep until the newest step's date."""
        ahead = self._due - self._clock.monotonic()
        if ahead > 0:
            self._sleep(ahead)
        else:
            self._due -= ahead
