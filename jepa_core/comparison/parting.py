"""The first step at which two runs part. Clocks and memory do not count: they differ between equal runs too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs

from jepa_core.comparison.recorded_run import RecordedRun

COSTS = ("time.", "throughput.", "memory.")
"""Beginnings of the names of metrics that say what a run costs, not what it does."""


@attrs.frozen(kw_only=True)
class PartedMetric:
    """A metric with both its values."""

    name: str
    left: float
    right: float


@attrs.frozen(kw_only=True)
class Parting:
    """Where two runs part, or that they do not."""

    left: str
    right: str
    step: int | None
    """None: they are equal wherever both have a value."""
    metrics: tuple[PartedMetric, ...]
    """All that differ at that step, in the order of the left run's row."""
    shared_steps: int
    """Steps at which both recorded the same metric."""
    last_shared_step: int | None


def find_parting(left: RecordedRun, right: RecordedRun) -> Parting:
    """The first shared step at which a metric that both recorded has two values. NaN equals NaN."""
    names = [name for name in left.series if name in right.series and not name.startswith(COSTS)]
    shared = sorted({step for name in names for step in left.series[name] if step in right.series[name]})
    step, metrics = _first_difference(left, right, names, shared)
    return Parting(
        left=left.name,
        right=right.name,
        step=step,
        metrics=metrics,
        shared_steps=len(shared),
        last_shared_step=shared[-1] if shared else None,
    )


def _first_difference(
    left: RecordedRun, right: RecordedRun, names: Sequence[str], steps: Sequence[int]
) -> tuple[int | None, tuple[PartedMetric, ...]]:
    for step in steps:
        if differing := tuple(_differing(left, right, names, step)):
            return step, differing
    return None, ()


def _differing(left: RecordedRun, right: RecordedRun, names: Sequence[str], step: int) -> Iterator[PartedMetric]:
    for name in names:
        one, other = left.series[name].get(step), right.series[name].get(step)
        if one is not None and other is not None and not _equal(one, other):
            yield PartedMetric(name=name, left=one, right=other)


def _equal(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
