"""What a chart shows beside its curves: what happened to the run as marks, and the limits of its rules as lines.

Marks are firings, non-finite values, checkpoints and rollbacks; a limit is drawn where it is judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from jepa_core.figures import limit_text
from jepa_core.watch.findings import Firing
from jepa_core.watch.rules import Abort, Criterion, Rollback, Scenario
from jepa_monitor.board.axis import Axis
from jepa_monitor.board.rule_text import rule_text
from jepa_monitor.charts.spec import Mark, MarkKind, Threshold, Tone
from jepa_monitor.history.series import Series
from jepa_monitor.model.run_view import Outlook, RunView

_SEVERITY_TONES: dict[str, Tone] = {"info": "dim", "warning": "warning", "critical": "bad"}
_EVENT_MARKS: dict[str, tuple[MarkKind, Tone]] = {
    "checkpoint": ("checkpoint", "dim"),
    "rolled back": ("rollback", "warning"),
    "rolled back from": ("rollback", "warning"),
    "non-finite": ("non-finite", "bad"),
}
MOST_CHECKPOINTS = 64
"""More checkpoints than that say nothing; the newest are shown."""
_LIMIT_TONES: dict[str, Tone] = {"failed": "bad", "fired": "bad", "at risk": "warning"}
_RuleOfRun = Criterion | Abort | Rollback | Scenario


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


def thresholds_of(view: RunView, names: Iterable[str], axis: Axis) -> tuple[Threshold, ...]:
    """The limits on the metrics of one chart, in the order of the rules; equal ones once."""
    shown = frozenset(names)
    found = (_threshold(view, outlook, shown, axis) for outlook in view.outlooks if outlook.metric in shown)
    limits = {(threshold.y, threshold.start, threshold.end): threshold for threshold in found if threshold is not None}
    return (*limits.values(), *_baseline_figures(view, shown, limits.values()), *_temperature_bounds(view, shown))


def _threshold(view: RunView, outlook: Outlook, shown: frozenset[str], axis: Axis) -> Threshold | None:
    judgement = outlook.judgement
    text = rule_text(judgement.when)
    limit = text.limit if judgement.limit is None else judgement.limit
    is_drawn_as_curve = bool((text.names - {outlook.metric}) & shown)
    is_silent = judgement.kind == "scenario" and outlook.prospect != "fired"
    if limit is None or is_drawn_as_curve or is_silent:
        return None
    start, end = _window(_rule_of(view, judgement.kind, judgement.id), axis)
    unit = judgement.unit or _unit(view, outlook.metric)
    return Threshold(
        y=limit,
        label=f"{judgement.kind} {limit_text('', limit, unit, of=outlook.metric)}",
        tone=_LIMIT_TONES.get(outlook.prospect, "dim"),
        dashed=judgement.kind != "abort",
        start=start,
        end=end,
    )


def _unit(view: RunView, name: str) -> str:
    declared = view.metrics.get(name)
    return declared.unit if declared else ""


def _rule_of(view: RunView, kind: str, rule_id: str) -> _RuleOfRun | None:
    rules: tuple[_RuleOfRun, ...] = getattr(view.watch, kind)
    return next((rule for rule in rules if rule.id == rule_id), None)


def _window(rule: _RuleOfRun | None, axis: Axis) -> tuple[float | None, float | None]:
    if rule is None:
        return None, None
    start = rule.after_epoch if isinstance(rule, Criterion) or rule.at_epoch is None else rule.at_epoch
    end = rule.until_epoch if isinstance(rule, Criterion) else None
    return (
        None if start is None else axis.of_epoch(start),
        None if end is None else axis.of_epoch(end),
    )


def _baseline_figures(view: RunView, names: Iterable[str], drawn: Iterable[Threshold]) -> Iterator[Threshold]:
    """What the baseline reached, where it has a figure and no curve, and no rule draws it."""
    if view.baseline is None:
        return
    known = {round(threshold.y, 3) for threshold in drawn}
    for name in names:
        figure = view.baseline.figures.get(name)
        if figure is None or name in view.baseline.series or round(figure, 3) in known:
            continue
        yield Threshold(y=figure, label=view.baseline.name, tone="dim")


def _temperature_bounds(view: RunView, names: Iterable[str]) -> Iterator[Threshold]:
    """Where a learnable temperature is held, as far as the recipe says so."""
    losses = view.recipe.get("losses")
    if "temperature" not in names or not isinstance(losses, Mapping):
        return
    for loss in losses.values():
        for field, label in (("temperature_min", "lower bound"), ("temperature_max", "upper bound")):
            bound = loss.get(field) if isinstance(loss, Mapping) else None
            if isinstance(bound, int | float):
                yield Threshold(y=float(bound), label=f"{label} {bound:g}", tone="dim")
