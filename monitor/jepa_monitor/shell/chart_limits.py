"""The limits of a run's rules as lines across a chart, over the part of x where each is judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from jepa_core.presentation.figures import limit_text
from jepa_core.watch.rules import Abort, Criterion, Rollback, Scenario
from jepa_monitor.charts.spec import Threshold, Tone
from jepa_monitor.model.run_view import Outlook, RunView
from jepa_monitor.shell.axis import Axis
from jepa_monitor.shell.rule_text import rule_text

_TONES: dict[str, Tone] = {"failed": "bad", "fired": "bad", "at risk": "warning"}
_RuleOfRun = Criterion | Abort | Rollback | Scenario


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
    return Threshold(
        y=limit,
        label=f"{judgement.kind} {limit_text('', limit, judgement.unit or _unit(view, outlook.metric))}",
        tone=_TONES.get(outlook.prospect, "dim"),
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
