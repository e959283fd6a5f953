"""How long ago a run last gave a sign of life, whatever its clock or ours was set to."""

from __future__ import annotations

from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.status import ShownState, Status, shown_state


class SignOfLife:
    """Watches a run's heartbeats. Times since one that was seen to come are by our monotonic clock; only the age of
    the first one is taken from the two wall clocks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heartbeat: float | None = None
        self._age_when_seen = 0.0
        self._seen_at = 0.0

    def age(self, status: Status | None) -> float | None:
        """Seconds since the last sign of life, never negative; None when there was none."""
        if status is None:
            self._heartbeat = None
            return None
        if status.heartbeat != self._heartbeat:
            is_first = self._heartbeat is None
            self._age_when_seen = max(0.0, self._clock.now() - status.heartbeat) if is_first else 0.0
            self._seen_at = self._clock.monotonic()
            self._heartbeat = status.heartbeat
        return self._age_when_seen + max(0.0, self._clock.monotonic() - self._seen_at)

    def state(self, status: Status | None) -> ShownState:
        """The run's state, stale by the age that `age` tells."""
        age = self.age(status)
        if status is None or age is None:
            return "unknown"
        heartbeat = status.heartbeat
        return shown_state(status, Clock(now=lambda: heartbeat + age))
