"""The first step at which two runs part. Clocks and memory do not count: they differ between equal runs too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from jepa_core.comparison.recorded_run import RecordedRun

if TYPE_CHECKING:
    from jepa_core.run_directory.columns import Figures

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
    from jepa_core.comparison.series import all_steps, first_difference, shared_steps

    both = {
        name: (one, right.series[name])
        for name, one in left.series.items()
        if name in right.series and not name.startswith(COSTS)
    }
    shared: dict[tuple[int, int], Figures] = {}
    differences: dict[str, float] = {}
    for name, (one, other) in both.items():
        # Metrics of the same rows have the same arrays of steps.
        arrays = (id(one.steps), id(other.steps))
        if arrays not in shared:
            shared[arrays] = shared_steps((one, other))
        differs_at = first_difference(one, other, shared[arrays])
        if differs_at is not None:
            differences[name] = differs_at
    step = min(differences.values(), default=None)
    steps = all_steps(shared.values())
    return Parting(
        left=left.name,
        right=right.name,
        step=None if step is None else int(step),
        metrics=tuple(
            PartedMetric(name=name, left=float(both[name][0].at(step)), right=float(both[name][1].at(step)))
            for name, differs_at in differences.items()
            if step == differs_at
        ),
        shared_steps=len(steps),
        last_shared_step=int(steps[-1]) if len(steps) else None,
    )
