"""Rows and clocks of the metrics that are always recorded together, and their values."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from jepa_monitor.history.column import Column
from jepa_monitor.history.training_clock import TrainingClock


class Timeline:
    """Some metrics that so far stand in exactly the same rows, so that they share what says when.

    Rows are noted one by one and reach the columns with `flush`, all at once.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.values: dict[str, Column] = {name: Column() for name in names}
        self.rows = Column(np.int32)
        self.steps = Column()
        self.epochs = Column()
        self.seconds = Column()
        self.noted_values: dict[str, list[float]] = {name: [] for name in self.values}
        self._noted: tuple[list[int], list[float], list[float], list[float]] = ([], [], [], [])

    def note(self, row: int, clock: TrainingClock) -> None:
        """A row of these metrics, whose values the caller appends to `noted_values`."""
        rows, steps, epochs, seconds = self._noted
        rows.append(row)
        steps.append(clock.step)
        epochs.append(clock.epoch)
        seconds.append(clock.seconds)

    def flush(self) -> None:
        """Move what was noted into the columns."""
        if not self._noted[0]:
            return
        rows, *clocks = self._noted
        self.rows.extend(rows)
        rows.clear()
        for column, noted in zip((self.steps, self.epochs, self.seconds), clocks, strict=True):
            column.extend(noted)
            noted.clear()
        for name, values in self.noted_values.items():
            self.values[name].extend(values)
            values.clear()

    def split_off(self, names: Iterable[str]) -> Timeline:
        """Take the metrics `names` out, with a copy of when they were recorded. Everything noted must be flushed."""
        other = Timeline(())
        other.rows, other.steps = Column.of(self.rows.prefix()), Column.of(self.steps.prefix())
        other.epochs, other.seconds = Column.of(self.epochs.prefix()), Column.of(self.seconds.prefix())
        for name in names:
            other.values[name] = self.values.pop(name)
            other.noted_values[name] = self.noted_values.pop(name)
        return other
