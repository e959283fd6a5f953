"""Events: what happened to a run, in words, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import orjson

from jepa_core.plain_files import open_plain
from jepa_core.recorded_numbers import decode_number
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.layout import EVENTS
from jepa_core.run_directory.line_appender import LineAppender
from jepa_core.watch.findings import Severity

_SEVERITIES: dict[object, Severity] = {"info": "info", "warning": "warning", "critical": "critical"}


@attrs.frozen(kw_only=True)
class Event:
    """One line of events.jsonl."""

    sequence: int
    """Position in the run's events: orders them even when the clock is set back."""
    time: float
    """Seconds since 1970."""
    step: float | None = None
    epoch: float | None = None
    severity: Severity = "info"
    name: str
    """Such as started, checkpoint, rule fired, non-finite, finished."""
    message: str = ""
    evidence: Mapping[str, Any] = attrs.field(factory=dict)
    advice: str = ""


class EventsWriter:
    """Appends events; numbers them on from those that are there."""

    def __init__(
        self, run: Path, clock: Clock = SYSTEM_CLOCK, on_loss: Callable[[str, str], None] | None = None
    ) -> None:
        """`on_loss` as of `LineAppender`.

        Raises:
            RunDirectoryError: the file cannot be opened.
        """
        self._clock = clock
        self._lines = LineAppender(run / EVENTS, clock=clock, on_loss=on_loss)
        self._sequence, self.count = _numbers(self._lines.path)

    def write(
        self,
        name: str,
        message: str,
        *,
        severity: Severity = "info",
        step: float | None = None,
        epoch: float | None = None,
        evidence: Mapping[str, Any] | None = None,
        advice: str = "",
    ) -> Event:
        """Append an event.

        Raises:
            RunDirectoryError: five writes in a row have failed. Until then events wait in memory.
        """
        self._sequence += 1
        event = Event(
            sequence=self._sequence,
            time=self._clock.now(),
            step=step,
            epoch=epoch,
            severity=severity,
            name=name,
            message=message,
            evidence=evidence or {},
            advice=advice,
        )
        self._lines.append(attrs.asdict(event, recurse=False))
        self.count += 1
        return event

    def look(self) -> None:
        """See `LineAppender.look`."""
        self._lines.look()

    def sync(self) -> None:
        """See `LineAppender.sync`."""
        self._lines.sync()

    def close(self) -> None:
        self._lines.close()


def event_from_json(recorded: Mapping[str, Any]) -> Event:
    """A recorded event; what is missing or of the wrong type is left at its default."""
    evidence = recorded.get("evidence")
    return Event(
        sequence=int(_finite(recorded.get("sequence")) or 0),
        time=_finite(recorded.get("time")) or 0.0,
        step=_finite(recorded.get("step")),
        epoch=_finite(recorded.get("epoch")),
        severity=_SEVERITIES.get(_text(recorded.get("severity")), "info"),
        name=_text(recorded.get("name")),
        message=_text(recorded.get("message")),
        evidence=evidence if isinstance(evidence, dict) and is_shallow(evidence) else {},
        advice=_text(recorded.get("advice")),
    )


def is_shallow(value: object, most: int = 64) -> bool:
    """Whether JSON is nested so little that it can be gone through and written again."""
    if not isinstance(value, dict | list):
        return True
    return most > 0 and all(
        is_shallow(part, most - 1) for part in (value.values() if isinstance(value, dict) else value)
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _finite(value: object) -> float | None:
    number = decode_number(value)
    return number if number is not None and abs(number) < float("inf") else None


def _numbers(path: Path) -> tuple[int, int]:
    """The highest number given so far, 0 when there is none; and how many events there are."""
    last = count = 0
    try:
        with open_plain(path) as file:
            for line in file:
                try:
                    recorded = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                if isinstance(recorded, dict):
                    last, count = max(last, event_from_json(recorded).sequence), count + 1
    except OSError:
        return last, count
    return last, count
