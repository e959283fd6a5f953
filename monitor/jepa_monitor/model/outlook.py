"""How every rule stands, and whether its trend crosses the limit before the run ends. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from jepa_core.watch.closures import Scene
from jepa_core.watch.history import History
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.language import RuleError, parse_rule
from jepa_core.watch.rules import Alarm, Criterion, Watch
from jepa_monitor.model.run_view import HistoryView, Outlook, Prospect
from jepa_monitor.model.trend import Trend, trend_of

_PROSPECTS: dict[str, Prospect] = {
    "pending": "pending",
    "holding": "passing",
    "clear": "passing",
    "failed": "failed",
    "fired": "fired",
}
_LOOKS_BACK = re.compile(
    r"\s*(best|first|lowest|highest)\s*\(|.*[<>=].*\b(best|first|lowest|highest|median|spread)\s*\("
)
"""Rules whose value never moves on, or whose limit moves with the run: where a trend leads says nothing of them."""


@attrs.frozen(kw_only=True)
class Course:
    """How far a run has come, and how far it goes."""

    step: float
    epoch: float
    total_steps: float
    """0 when that is not known, or when the run goes no further: then nothing is at risk."""

    def step_at(self, epoch: float) -> float:
        """The step at which `epoch` ends, by the pace so far."""
        return self.step / self.epoch * epoch if self.epoch > 0 else float("inf")


class Outlooks:
    """The outlooks of one set of rules."""

    def __init__(self, watch: Watch) -> None:
        self._rules: dict[tuple[str, str], Criterion | Alarm] = {
            **{("must", rule.id): rule for rule in watch.must},
            **{("nice", rule.id): rule for rule in watch.nice},
            **{("abort", rule.id): rule for rule in watch.abort},
            **{("rollback", rule.id): rule for rule in watch.rollback},
            **{("scenario", rule.id): rule for rule in watch.scenario},
        }
        self._metrics = {rule.when: compared_metric(rule.when) for rule in self._rules.values()}

    def of(self, judgements: Iterable[Judgement], history: HistoryView, course: Course) -> tuple[Outlook, ...]:
        """One for each judgement, in their order."""
        trends: dict[str, Trend | None] = {}
        return tuple(self._outlook(judgement, history, course, trends) for judgement in judgements)

    def _outlook(
        self, judgement: Judgement, history: HistoryView, course: Course, trends: dict[str, Trend | None]
    ) -> Outlook:
        metric = self._metrics.get(judgement.when, "")
        outlook = Outlook(judgement=judgement, prospect=_PROSPECTS[judgement.state], metric=metric)
        rule = self._rules.get((judgement.kind, judgement.id))
        if rule is None or not metric or not _can_turn(judgement, rule):
            return outlook
        if metric not in trends:
            series = history.series(metric)
            trends[metric] = trend_of(series) if series is not None else None
        crossing = _crossing(judgement, trends[metric], _last_step(rule, course))
        return outlook if crossing is None else attrs.evolve(outlook, prospect="at risk", crossing_step=crossing)


def compared_metric(when: str) -> str:
    """The metric that a rule compares with a limit; empty where it is not one comparison of one metric."""
    try:
        reading = parse_rule(when).reading(Scene(History(()), None, set()))
    except RuleError:
        return ""
    return reading.metric if reading is not None else ""


def _can_turn(judgement: Judgement, rule: Criterion | Alarm) -> bool:
    """Whether a passing rule can still come to fail or fire through its metric's further values."""
    if judgement.state not in ("holding", "clear") or judgement.hold == "once" or _LOOKS_BACK.match(judgement.when):
        return False
    return isinstance(rule, Criterion) or rule.at_epoch is None


def _last_step(rule: Criterion | Alarm, course: Course) -> float:
    if isinstance(rule, Criterion) and rule.until_epoch is not None:
        return min(course.total_steps, course.step_at(rule.until_epoch))
    return course.total_steps


def _crossing(judgement: Judgement, trend: Trend | None, last_step: float) -> float | None:
    value, limit = judgement.value, judgement.limit
    if trend is None or value is None or limit is None or judgement.operator in "=≠" or value == limit:
        return None
    leads_to_trouble = trend.slope < 0 if value > limit else trend.slope > 0
    if not leads_to_trouble or trend.step >= last_step:
        return None
    is_past = trend.value < limit if value > limit else trend.value > limit
    crossing = trend.step if is_past else trend.meets(limit)
    return crossing if crossing is not None and crossing <= last_step else None
