"""A recorded run, read once from its beginning to its end, with the time in training at which each row was made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from jepa_core.recorded_numbers import decode_number
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.layout import DIAGNOSTICS
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.tail import Tail
from jepa_monitor.feed.event_bounds import bounded
from jepa_monitor.feed.newest_lines import decode_record
from jepa_monitor.feed.rank_rows import RankRows, RecordedRanks
from jepa_monitor.history.training_clock import TrainingClock

ROW_SECONDS = 0.1
"""Time between two rows of a run that did not record `time.step`."""


@attrs.frozen(kw_only=True, eq=False)
class TimedRow:
    """A row, and when it was made."""

    row: dict[str, float]
    seconds: float
    """Of training, since the run began."""
    step: float
    epoch: float


class Recording:
    """Rows, events and diagnoses of a run, each given out in order up to a moment."""

    def __init__(self, run: Path) -> None:
        self._reader = RunReader(run)
        self._rows = _timed(self._reader)
        self._events = RunReader(run).events()
        self._diagnoses = _diagnoses(run)
        self._ranks = RecordedRanks(run)
        self._next_row = next(self._rows, None)
        self._next_event = next(self._events, None)
        self._next_diagnosis = next(self._diagnoses, None)
        self.step = 0.0
        """Of the newest row given out; likewise the epoch."""
        self.epoch = 0.0
        self.diagnosis: dict[str, Any] = {}
        """The newest one at `step`."""

    @property
    def ranks(self) -> tuple[RankRows, ...]:
        """The newest rows of each rank at `step`."""
        return self._ranks.content

    @property
    def is_at_end(self) -> bool:
        """Every row was given out."""
        return self._next_row is None

    @property
    def damaged(self) -> int:
        """Lines of rows passed over so far."""
        return self._reader.damaged

    def is_due(self, seconds: float) -> bool:
        """Whether a row is to be given out by then."""
        return self._next_row is not None and self._next_row.seconds <= seconds

    def rows_until(self, seconds: float, most: int) -> tuple[dict[str, float], ...]:
        """Up to `most` rows that were made by then and not given out yet."""
        rows: list[dict[str, float]] = []
        while len(rows) < most and self._next_row is not None and self._next_row.seconds <= seconds:
            rows.append(self._next_row.row)
            self.step, self.epoch = max(self.step, self._next_row.step), self._next_row.epoch
            self._next_row = next(self._rows, None)
        while self._next_diagnosis is not None and (self.is_at_end or _step(self._next_diagnosis) <= self.step):
            self.diagnosis = self._next_diagnosis
            self._next_diagnosis = next(self._diagnoses, None)
        self._ranks.advance(self.step, most)
        return tuple(rows)

    def events_until_now(self, most: int) -> tuple[Event, ...]:
        """Up to `most` events up to the step of the newest row given out; at the end, those that are left."""
        events: list[Event] = []
        while len(events) < most and self._next_event is not None:
            if not self.is_at_end and (self._next_event.step or 0.0) > self.step:
                break
            events.append(bounded(self._next_event))
            self._next_event = next(self._events, None)
        return tuple(events)

    @property
    def has_events_left(self) -> bool:
        return self._next_event is not None


def _timed(reader: RunReader) -> Iterator[TimedRow]:
    clock, waited, more = TrainingClock(), 0.0, True
    while more:
        news = reader.poll()
        more = news.more
        for row in news.rows:
            before = clock.seconds
            clock.observe(row)
            waited += clock.seconds - before if clock.step_seconds else ROW_SECONDS
            yield TimedRow(row=row, seconds=waited, step=_known(clock.step), epoch=_known(clock.epoch))


def _known(number: float) -> float:
    return 0.0 if math.isnan(number) else number


def _diagnoses(run: Path) -> Iterator[dict[str, Any]]:
    tail, more = Tail(run / DIAGNOSTICS), True
    while more:
        new = tail.poll()
        more = new.more
        for line in new.lines:
            record = decode_record(line)
            if record is not None:
                yield record


def _step(diagnosis: dict[str, Any]) -> float:
    step = decode_number(diagnosis.get("step"))
    return 0.0 if step is None or math.isnan(step) else step
