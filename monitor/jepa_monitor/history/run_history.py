"""All recorded rows of a run as growing columns. Knows nothing of files or rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from jepa_monitor.history.series import Series
from jepa_monitor.history.timeline import Timeline
from jepa_monitor.history.training_clock import TrainingClock

MAX_METRICS = 4096
"""Most metrics that are kept; further names are passed over."""
MAX_NAME = 200
"""Longest name of a metric that is kept, in characters."""

_CLOCKS = ("step", "epoch")
_MAX_KINDS = 1000


@attrs.frozen(kw_only=True, eq=False)
class HistorySnapshot:
    """The rows at one moment. Its arrays are read-only and never change."""

    num_rows: int
    names: tuple[str, ...]
    """Metrics with a value, sorted. Step and epoch are no metrics here: every series has them."""
    all_series: Mapping[str, Series]

    def series(self, name: str) -> Series | None:
        """None while there is no value."""
        return self.all_series.get(name)


@attrs.frozen
class _Kind:
    """Where the values of rows with the same names go."""

    timelines: tuple[Timeline, ...]
    columns: tuple[tuple[str, list[float]], ...]
    """Each metric with the list that notes its values."""


class RunHistory:
    """The rows of a run, in the order in which they were recorded."""

    def __init__(self) -> None:
        self.num_rows = 0
        self.finals: dict[str, float] = {}
        """The newest value of every metric, of step and epoch too."""
        self.has_passed_over = False
        """Whether metrics in rows were not kept, because they are too many or their names too long."""
        self.clock = TrainingClock()
        self.timelines: list[Timeline] = []
        self.bare = Timeline(())
        """The rows that hold no metric but step and epoch."""
        self._timeline_of: dict[str, Timeline] = {}
        self._kinds: dict[tuple[str, ...], _Kind] = {}

    @classmethod
    def restored(
        cls, timelines: Iterable[Timeline], bare: Timeline, clock: TrainingClock, finals: Mapping[str, float], rows: int
    ) -> RunHistory:
        """A history as it was when its parts were taken; see `cache`."""
        history = cls()
        history.num_rows, history.clock, history.finals = rows, clock, dict(finals)
        history.timelines, history.bare = list(timelines), bare
        history._timeline_of = {name: timeline for timeline in history.timelines for name in timeline.values}
        return history

    def extend(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Append rows."""
        for row in rows:
            names = tuple(row)
            kind = self._kinds.get(names) or self._new_kind(names)
            self.clock.observe(row)
            for timeline in kind.timelines:
                timeline.note(self.num_rows, self.clock)
            for name, noted in kind.columns:
                noted.append(row[name])
                self.finals[name] = row[name]
            self.num_rows += 1
        self._note_clocks(rows)
        for timeline in (self.bare, *self.timelines):
            timeline.flush()

    def view(self) -> HistorySnapshot:
        """The rows so far."""
        all_series = {series.name: series for timeline in self.timelines for series in self._series(timeline)}
        return HistorySnapshot(num_rows=self.num_rows, names=tuple(sorted(all_series)), all_series=all_series)

    def rows(self, start: int, stop: int) -> list[dict[str, float]]:
        """The rows from `start` up to `stop`, as they were recorded.

        One that did not say its step or epoch says those before it.
        """
        stop = min(stop, self.num_rows)
        rows: list[dict[str, float]] = [{} for _ in range(max(stop - start, 0))]
        for timeline in (self.bare, *self.timelines):
            _fill(rows, timeline, start, stop)
        return rows

    def _note_clocks(self, rows: Sequence[Mapping[str, float]]) -> None:
        for name in _CLOCKS:
            for row in reversed(rows):
                if name in row:
                    self.finals[name] = row[name]
                    break

    def _new_kind(self, names: tuple[str, ...]) -> _Kind:
        metrics = [name for name in names if name not in _CLOCKS]
        known = [name for name in metrics if name in self._timeline_of]
        room = MAX_METRICS - len(self._timeline_of)
        new = [name for name in metrics if name not in self._timeline_of and len(name) <= MAX_NAME][:room]
        self.has_passed_over |= len(known) + len(new) < len(metrics)
        self._separate(known)
        if new:
            self._add(Timeline(new))
        timelines = {id(self._timeline_of[name]): self._timeline_of[name] for name in (*known, *new)}
        kind = _Kind(
            timelines=tuple(timelines.values()) or (self.bare,),
            columns=tuple((name, self._timeline_of[name].noted_values[name]) for name in (*known, *new)),
        )
        if len(self._kinds) >= _MAX_KINDS:
            self._kinds.clear()
        self._kinds[names] = kind
        return kind

    def _separate(self, names: Sequence[str]) -> None:
        """See to it that no timeline holds some of `names` and others too."""
        for timeline in {id(self._timeline_of[name]): self._timeline_of[name] for name in names}.values():
            together = timeline.values.keys() & set(names)
            if len(together) < len(timeline.values):
                timeline.flush()
                self._add(timeline.split_off(sorted(together)))

    def _add(self, timeline: Timeline) -> None:
        self.timelines.append(timeline)
        self._timeline_of.update(dict.fromkeys(timeline.values, timeline))
        self._kinds.clear()

    def _series(self, timeline: Timeline) -> Iterable[Series]:
        steps, epochs, seconds = (column.prefix() for column in (timeline.steps, timeline.epochs, timeline.seconds))
        if not self.clock.is_regular:
            steps, epochs = _never_decreasing(steps), _never_decreasing(epochs)
        for name, column in timeline.values.items():
            yield Series(name=name, steps=steps, epochs=epochs, seconds=seconds, values=column.prefix())


def _fill(rows: list[dict[str, float]], timeline: Timeline, start: int, stop: int) -> None:
    numbers = timeline.rows.prefix()
    # Of the same type: else all numbers are converted, again and again.
    first, last = np.searchsorted(numbers, np.array((start, stop), numbers.dtype)).tolist()
    if first == last:
        return
    places = (numbers[first:last] - start).tolist()
    clocks = zip(_CLOCKS, (timeline.steps, timeline.epochs), strict=True)
    for name, column in (*clocks, *timeline.values.items()):
        is_clock = name in _CLOCKS
        for place, value in zip(places, column.prefix()[first:last].tolist(), strict=True):
            if not is_clock or value == value:  # noqa: PLR0124  # not a number: no row has said it yet
                rows[place][name] = value


def _never_decreasing(clock: NDArray[np.float64]) -> NDArray[np.float64]:
    """Steps or epochs as an axis: the highest so far, and zero before the first."""
    highest = np.nan_to_num(np.fmax.accumulate(clock), nan=0.0) if len(clock) else clock.copy()
    axis = np.maximum.accumulate(highest) if len(highest) else highest
    axis.flags.writeable = False
    return axis
