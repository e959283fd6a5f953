"""What to say when a rule fires: the message, and the recorded figures that show it."""

from __future__ import annotations

import math
from typing import Any

from jepa_core.figures import figure_text, limit_text, value_beside_limit
from jepa_core.watch.closures import Scene
from jepa_core.watch.findings import Firing, Severity
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.language import Rule
from jepa_core.watch.rules import Abort, Alarm, Criterion, Rollback, Scenario

MOST_FIGURES = 4
"""Values that a message has: the evidence has all."""

EVIDENCE_VALUES = 3
"""Newest values of each metric that a firing shows."""


def firing_of_criterion(criterion: Criterion, judgement: Judgement, rule: Rule, scene: Scene) -> Firing:
    """A must or nice that has failed for good."""
    return Firing(
        name=criterion.id,
        kind="must" if judgement.kind == "must" else "nice",
        severity="warning" if judgement.kind == "must" else "info",
        message=f"{judgement.title}: does not hold, {_figures(judgement, rule, scene)}",
        step=_known(scene.history.step),
        epoch=_known(scene.history.epoch),
        evidence=_evidence(rule, scene),
    )


def firing_of_alarm(alarm: Alarm, judgement: Judgement, rule: Rule, scene: Scene, first_sign: float | None) -> Firing:
    """An abort, a rollback or a scenario that has fired."""
    return Firing(
        name=alarm.id,
        kind="abort" if isinstance(alarm, Abort) else "rollback" if isinstance(alarm, Rollback) else "scenario",
        severity=_severity(alarm),
        message=f"{judgement.title}: {_figures(judgement, rule, scene)}",
        step=_known(scene.history.step),
        epoch=_known(scene.history.epoch),
        evidence=_evidence(rule, scene),
        advice=alarm.advice,
        set={} if isinstance(alarm, Abort) else alarm.set,
        use=alarm.use if isinstance(alarm, Rollback) else "",
        first_sign=first_sign,
    )


def _severity(alarm: Alarm) -> Severity:
    if isinstance(alarm, Scenario):
        return alarm.severity
    return "critical" if isinstance(alarm, Abort) else "warning"


def _figures(judgement: Judgement, rule: Rule, scene: Scene) -> str:
    """The rule with the value that decided it where it is one comparison, else the values that occur in it."""
    if judgement.value is not None and judgement.limit is not None:
        return (
            f"{judgement.when}, value {value_beside_limit(judgement.value, judgement.limit, of=rule.text)}, "
            f"limit {limit_text('', judgement.limit, of=rule.text, value=judgement.value)}"
        )
    values = rule.figures(scene)[:MOST_FIGURES]
    return ", ".join(f"{written} {figure_text(value, of=written)}" for written, value in values) or judgement.when


def _evidence(rule: Rule, scene: Scene) -> dict[str, Any]:
    rows: dict[tuple[float, float], dict[str, Any]] = {}
    for name in sorted(rule.names):
        for point in scene.history.recent(name, EVIDENCE_VALUES):
            row = rows.setdefault((point.step, point.epoch), {"step": _known(point.step), "epoch": _known(point.epoch)})
            row[name] = point.value
    evidence: dict[str, Any] = {"when": rule.text, "rows": [rows[moment] for moment in sorted(rows)]}
    if rule.baseline_names and scene.baseline is not None:
        evidence["baseline"] = {
            name: scene.baseline.at(name, scene.history.epoch) for name in sorted(rule.baseline_names)
        }
    if rule.fired_ids:
        evidence["fired"] = sorted(rule.fired_ids & set(scene.fired))
    return evidence


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number
