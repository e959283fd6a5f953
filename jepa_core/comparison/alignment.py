"""Rows of several runs at equal steps. Nothing is interpolated: a step counts where every run has a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from jepa_core.comparison.recorded_run import RecordedRun

if TYPE_CHECKING:
    from jepa_core.run_directory.columns import Figures


@attrs.frozen(kw_only=True, eq=False)
class AlignedMetric:
    """One metric at the steps at which all runs recorded it."""

    name: str
    steps: Figures
    """Whole numbers, rising, (n,)."""
    values: Figures
    """One row per run, in the runs' order, (runs, n)."""


def align(name: str, runs: Sequence[RecordedRun]) -> AlignedMetric:
    """The metric over the steps that all runs share; no step when a run never recorded it."""
    from jepa_core.comparison.series import all_steps, shared_steps, values_at

    every = [run.series.get(name) for run in runs]
    recorded = [series for series in every if series is not None]
    steps = shared_steps(recorded) if len(recorded) == len(runs) else all_steps([])
    return AlignedMetric(name=name, steps=steps, values=values_at(steps, every))


def evenly_chosen(count: int, most: int) -> tuple[int, ...]:
    """Up to `most` of `count` positions, evenly apart, the first and the last among them."""
    if count <= most:
        return tuple(range(count))
    return tuple(round(index * (count - 1) / (most - 1)) for index in range(most))
