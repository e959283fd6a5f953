"""A recorded run played again at any speed, through the path of a live one."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import attrs

from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.reading import RowsPosition, RunReader
from jepa_core.run_directory.status import Status, shown_state
from jepa_monitor.feed.feed import News, Surroundings
from jepa_monitor.feed.live import SurroundingsReader
from jepa_monitor.feed.recording import Recording

SLOWEST, FASTEST = 1 / 64, 1e6
"""Least and highest speed, in seconds of training a second."""

_POLL_ROWS = 5000


class ReplayFeed:
    """The run in a directory, its rows released by the training time at which they were made.

    Events and diagnoses come with their step; the verdict, the final status and the console, which say no step, at the
    end. May be steered from another thread than the one that polls.
    """

    rows_position: RowsPosition | None = None

    def __init__(self, run: Path, *, speed: float = 1.0, clock: Clock = SYSTEM_CLOCK) -> None:
        """`speed` is seconds of training a second.

        Raises:
            RunDirectoryError: there is no run directory there.
        """
        self._run = run
        self._clock = clock
        self._lock = threading.Lock()
        self._recorded = SurroundingsReader(RunReader(run)).refresh()
        self._recording = Recording(run)
        self._speed = _within_bounds(speed)
        self._paused = False
        self._played = 0.0
        self._as_of = clock.monotonic()
        self._restarted = False
        self._shown = Surroundings()

    @property
    def replay_position(self) -> str:
        speed = f"{self._speed:.3g}" if self._speed < 1 else f"{self._speed:.0f}"
        where = ", at the end" if self._recording.is_at_end else ", paused" if self._paused else ""
        return f"×{speed}{where}"

    def toggle_pause(self) -> None:
        """Stand still, or go on."""
        with self._lock:
            self._advance()
            self._paused = not self._paused

    def faster(self) -> None:
        """Twice as fast."""
        self._set_speed(self._speed * 2)

    def slower(self) -> None:
        """Half as fast."""
        self._set_speed(self._speed / 2)

    def to_start(self) -> None:
        """Play from the beginning again."""
        with self._lock:
            self._recording = Recording(self._run)
            self._restarted = True
            self._played, self._as_of = 0.0, self._clock.monotonic()

    def to_end(self) -> None:
        """Give out all that is left."""
        with self._lock:
            self._played = math.inf

    def go_on_from(self, position: RowsPosition) -> None:
        """A replay has no position in a file: it always begins with the first row."""

    def poll(self) -> News:
        with self._lock:
            self._advance()
            recording, restarted = self._recording, self._restarted
            self._restarted = False
            rows = recording.rows_until(self._played, _POLL_ROWS)
            events = recording.events_until_now(_POLL_ROWS)
            surroundings = self._surroundings()
            return News(
                rows=rows,
                events=events,
                rows_restarted=restarted,
                events_restarted=restarted,
                more=recording.is_due(self._played) or (recording.is_at_end and recording.has_events_left),
                damaged=recording.damaged,
                surroundings=surroundings,
                state=shown_state(surroundings.status, self._clock) if recording.is_at_end else "running",
                heartbeat_age=None,
            )

    def _set_speed(self, speed: float) -> None:
        with self._lock:
            self._advance()
            self._speed = _within_bounds(speed)

    def _advance(self) -> None:
        now = self._clock.monotonic()
        if not self._paused:
            self._played += max(0.0, now - self._as_of) * self._speed
        self._as_of = now

    def _surroundings(self) -> Surroundings:
        """As they were at this step; the same object while that does not change."""
        recording, recorded = self._recording, self._recorded
        if recording.is_at_end:
            now = recorded
        else:
            status = _running(recorded.status or Status(), recording.step, recording.epoch)
            now = attrs.evolve(recorded, status=status, verdict=None, console=())
            now = attrs.evolve(now, diagnosis=recording.diagnosis, ranks=recording.ranks)
        same = now.status == self._shown.status and now.diagnosis is self._shown.diagnosis
        same &= now.ranks is self._shown.ranks
        if not same or now.verdict is not self._shown.verdict:
            self._shown = now
        return self._shown


def _running(status: Status, step: float, epoch: float) -> Status:
    return attrs.evolve(status, state="running", step=int(min(step, 2**62)), epoch=epoch, exit_code=None, child="")


def _within_bounds(speed: float) -> float:
    return min(max(speed, SLOWEST), FASTEST)
