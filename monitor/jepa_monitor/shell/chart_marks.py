"""What happened to a run as marks on its charts: firings, non-finite values, checkpoints, rollbacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from jepa_core.watch.findings import Firing
from jepa_monitor.charts.spec import Mark, MarkKind, Tone
from jepa_monitor.history.series import Series
from jepa_monitor.model.run_view import RunView
from jepa_monitor.shell.axis import Axis
from jepa_monitor.shell.rule_text import rule_text

_SEVERITY_TONES: dict[str, Tone] = {"info": "dim", "warning": "warning", "critical": "bad"}
_EVENT_MARKS: dict[str, tuple[MarkKind, Tone]] = {
    "checkpoint": ("checkpoint", "dim"),
    "rolled back": ("rollback", "warning"),
    "rolled back from": ("rollback", "warning"),
    "non-finite": ("non-finite", "bad"),
}
MOST_CHECKPOINTS = 64
"""More checkpoints than that say nothing; the newest are shown."""


def marks_of_run(view: RunView, axis: Axis) -> tuple[Mark, ...]:
    """The marks that every chart has: checkpoints, rollbacks, non-finite stops."""
    marks = []
    for event in view.events:
        kind_and_tone = _EVENT_MARKS.get(event.name)
        x = axis.of_step(event.step) if kind_and_tone and event.step is not None else None
        if kind_and_tone is not None and x is not None:
            marks.append(Mark(x=x, kind=kind_and_tone[0], tone=kind_and_tone[1]))
    checkpoints = [mark for mark in marks if mark.kind == "checkpoint"]
    return (*checkpoints[-MOST_CHECKPOINTS:], *(mark for mark in marks if mark.kind != "checkpoint"))


def marks_of_firings(view: RunView, names: Iterable[str], axis: Axis) -> Iterator[Mark]:
    """The firings of rules that look at one of the metrics, and will not hold any more."""
    shown = frozenset(names)
    for firing in view.firings:
        if firing.step is None or not (_names(firing) & shown):
            continue
        x = axis.of_step(firing.step)
        if x is not None:
            yield Mark(x=x, kind="firing", tone=_SEVERITY_TONES[firing.severity], label=firing.name)


def mark_of_non_finite(series: Series, axis: Axis) -> Mark | None:
    """The first value that is not finite; None when all are."""
    bad = np.flatnonzero(~np.isfinite(series.values))
    if not len(bad):
        return None
    return Mark(x=float(axis.xs(series)[bad[0]]), kind="non-finite", tone="bad", label=str(series.values[bad[0]]))


def _names(firing: Firing) -> frozenset[str]:
    when = firing.evidence.get("when")
    return rule_text(when).names if isinstance(when, str) else frozenset()
