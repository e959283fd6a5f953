"""Metrics by step, as arrays: what a comparison computes over a million rows. The one module here that loads numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import attrs
import numpy as np
from numpy.typing import NDArray

from jepa_core.run_directory.columns import Columns, Figures, Kind


@attrs.frozen(eq=False)
class Series:
    """One metric by step."""

    steps: Figures
    """Whole numbers, rising, (n,). Metrics that stand in the same rows have the same array."""
    _parts: tuple[Figures, ...]
    _chosen: NDArray[np.intp] | None = None
    """Which of all parts' figures stand at these steps; None for all, in their order."""

    @property
    def values(self) -> Figures:
        """At these steps, (n,)."""
        figures = self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
        return figures if self._chosen is None else figures[self._chosen]

    def at(self, steps: Figures | float) -> Figures:
        """The values at these steps; not a number where there is none."""
        places = np.minimum(np.searchsorted(self.steps, steps), len(self.steps) - 1)
        return np.where(self.steps[places] == steps, self.values[places], np.nan)


def series_of(columns: Columns) -> dict[str, Series]:
    """Rows of one step are one, in which the latest figures count; rows that say no step are left out."""
    chosen: dict[tuple[Kind, ...], tuple[Figures, NDArray[np.intp] | None]] = {}
    found = {}
    for name, kinds in columns.kinds_of.items():
        if kinds not in chosen:
            chosen[kinds] = _by_step(kinds)
        steps, places = chosen[kinds]
        if name != "step" and len(steps):
            found[name] = Series(steps, tuple(kind.column(name) for kind in kinds), places)
    return found


def _by_step(kinds: tuple[Kind, ...]) -> tuple[Figures, NDArray[np.intp] | None]:
    """The steps of rows, rising, and which rows these are; None where they are all, in their order."""
    steps = np.concatenate([kind.column("step") for kind in kinds])
    rows = np.concatenate([kind.rows for kind in kinds])
    order = np.lexsort((rows, steps))
    order = order[np.isfinite(steps[order]) & (np.floor(steps[order]) == steps[order])]
    rising = steps[order]
    is_latest = np.append(rising[1:] != rising[:-1], True)[: len(rising)]
    order, rising = order[is_latest], rising[is_latest]
    if not np.array_equal(order, np.arange(len(steps))):
        return rising, order
    return kinds[0].column("step") if len(kinds) == 1 else rising, None


def shared_steps(every: Sequence[Series]) -> Figures:
    """Those of all of them, rising."""

    def shared(left: Figures, right: Figures) -> Figures:
        return left if np.array_equal(left, right) else np.intersect1d(left, right, assume_unique=True)

    return reduce(shared, [series.steps for series in every])


def values_at(steps: Figures, every: Sequence[Series | None]) -> Figures:
    """Of each of the series, (series, steps); not a number where there is none."""
    return np.array([np.full(len(steps), np.nan) if series is None else series.at(steps) for series in every])


def all_steps(every: Iterable[Figures]) -> Figures:
    """Those of any of them, rising."""
    return np.unique(np.concatenate([np.empty(0), *every]))


def first_difference(left: Series, right: Series, steps: Figures) -> float | None:
    """The first of `steps`, which both have, at which they differ; NaN equals NaN. None where they never do."""
    one, other = values_at(steps, (left, right))
    differs = (one != other) & ~(np.isnan(one) & np.isnan(other))
    return float(steps[differs.argmax()]) if differs.any() else None


def epochs_at(steps: Figures, epochs: Series | None) -> Figures:
    """Of the rows of these steps; the step itself where a row says none."""
    said = steps if epochs is None else epochs.at(steps)
    return np.where(np.isnan(said), steps, said)
