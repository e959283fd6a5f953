"""Rows of several runs at equal steps. Nothing is interpolated: a step counts where every run has a value."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from jepa_core.comparison.recorded_run import RecordedRun


@attrs.frozen(kw_only=True)
class AlignedMetric:
    """One metric at the steps at which all runs recorded it."""

    name: str
    steps: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]
    """One row per run, in the runs' order; as long as `steps`."""


def align(name: str, runs: Sequence[RecordedRun]) -> AlignedMetric:
    """The metric over the steps that all runs share; no step when a run never recorded it."""
    every = [run.series.get(name, {}) for run in runs]
    steps = sorted(set(every[0]).intersection(*every[1:]))
    return AlignedMetric(
        name=name, steps=tuple(steps), values=tuple(tuple(series[step] for step in steps) for series in every)
    )


def evenly_chosen(count: int, most: int) -> tuple[int, ...]:
    """Up to `most` of `count` positions, evenly apart, the first and the last among them."""
    if count <= most:
        return tuple(range(count))
    return tuple(round(index * (count - 1) / (most - 1)) for index in range(most))
