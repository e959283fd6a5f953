"""The time, as an argument: wall-clock time for people, monotonic time for durations."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs


@attrs.frozen(kw_only=True)
class Clock:
    """Two readings of one clock. The wall may be set back; durations are taken from `monotonic` only."""

    now: Callable[[], float] = time.time
    """Seconds since 1970."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds, never going back."""


SYSTEM_CLOCK = Clock()


def local_time(seconds: float, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Seconds since 1970 as local time; a dash when no calendar reaches there."""
    try:
        return time.strftime(pattern, time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "–"
