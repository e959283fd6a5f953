"""What a run is compared with, as figures: a recorded run's series, or figures from the recipe.

Finding the run is the business of `jepa_core.run_directory.baseline_runs`; nothing here knows files.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

import attrs


@attrs.frozen(kw_only=True)
class EpochSeries:
    """One metric of the baseline over its epochs, in order."""

    epochs: Sequence[float]
    values: Sequence[float]

    def at(self, epoch: float) -> float | None:
        """The last value recorded at or before `epoch`; None before the first, or when `epoch` is not a number."""
        index = bisect_right(self.epochs, epoch) if not math.isnan(epoch) else 0
        return self.values[index - 1] if index else None


@attrs.frozen(kw_only=True)
class BaselineValues:
    """The baseline's figures."""

    name: str
    """What to call it."""
    run: str = ""
    """Name of its run directory; empty when it is made of figures."""
    path: str = ""
    """Its run directory; empty when it is made of figures."""
    same_data: bool | None = None
    """Whether it was trained on equal data; None when that is not known."""
    series: Mapping[str, EpochSeries] = attrs.field(factory=dict)
    figures: Mapping[str, float] = attrs.field(factory=dict)
    """Values given by hand, for names and epochs without a recorded value."""

    def at(self, name: str, epoch: float) -> float | None:
        """The value at the same epoch, else the figure, else None."""
        series = self.series.get(name)
        recorded = series.at(epoch) if series is not None else None
        return recorded if recorded is not None else self.figures.get(name)

    def final(self, name: str) -> float | None:
        """The last value recorded, else the figure, else None."""
        series = self.series.get(name)
        return series.values[-1] if series is not None and series.values else self.figures.get(name)

    def finals(self) -> dict[str, float]:
        """The last value of every metric that has one."""
        recorded = {name: series.values[-1] for name, series in self.series.items() if series.values}
        return {**self.figures, **recorded}


def series_of(rows: Iterable[Mapping[str, float]]) -> dict[str, EpochSeries]:
    """The series of every metric in `rows`; rows before the first that says its epoch are left out.

    A million rows are usual, so figures lie in arrays, and metrics that stand in every row share one of epochs.
    """
    growing: dict[str, _Growing] = {}
    epochs = array("d")
    epoch = -math.inf
    for row in rows:
        epoch = max(epoch, row.get("epoch", epoch))
        if not math.isfinite(epoch):
            continue
        for name, value in row.items():
            series = growing.get(name)
            if series is None:
                series = growing[name] = _Growing()
            series.append(value, epochs, epoch)
        epochs.append(epoch)
    return {name: series.whole(epochs) for name, series in growing.items()}


class _Growing:
    """A metric's values so far, and its own epochs from the first row on that lacks it."""

    def __init__(self) -> None:
        self._values = array("d")
        self._epochs: array[float] | None = None

    def append(self, value: float, epochs: array[float], epoch: float) -> None:
        """Take in the next row's value; `epochs` are of all rows before."""
        if self._epochs is None and len(self._values) < len(epochs):
            self._epochs = epochs[: len(self._values)]
        if self._epochs is not None:
            self._epochs.append(epoch)
        self._values.append(value)

    def whole(self, epochs: array[float]) -> EpochSeries:
        if self._epochs is None and len(self._values) < len(epochs):
            self._epochs = epochs[: len(self._values)]
        return EpochSeries(epochs=epochs if self._epochs is None else self._epochs, values=self._values)
