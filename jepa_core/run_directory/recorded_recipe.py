"""What a recorded recipe says about judging its run: its watch rules and its metrics' declarations.

Only the resolved recipe in the run directory is asked, never the installed components, so that a copied run can be
judged anywhere. A recording may be damaged or of another version: what cannot be read is left out and said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import attrs
import cattrs

from jepa_core.metrics import ENGINE_METRICS, Metric, directed, loss_metrics
from jepa_core.watch.language import RuleError, parse_rule
from jepa_core.watch.rules import JUDGED, Abort, Baseline, Criterion, EarlyStop, Rollback, Scenario, Watch

AnyRule = TypeVar("AnyRule", Criterion, Abort, Rollback, Scenario)


@attrs.frozen(kw_only=True)
class RecordedWatch:
    """The watch table as far as it can be read."""

    watch: Watch
    problems: tuple[str, ...]
    """What was left out, in words."""


def recorded_watch(recipe: Mapping[str, Any]) -> RecordedWatch:
    """The `watch` table of a recorded recipe; a rule that cannot be read is left out."""
    table = _table(recipe.get("watch"))
    problems = [] if isinstance(recipe.get("watch", {}), dict) else ["watch: it is no table, so that it has no rules"]
    watch = Watch(
        baseline=_part(Baseline, table.get("baseline"), "baseline", problems),
        judge=recorded_judge(recipe),
        early_stop=_early_stop(recipe, problems),
        must=_rules(Criterion, table, "must", problems),
        nice=_rules(Criterion, table, "nice", problems),
        abort=_rules(Abort, table, "abort", problems),
        rollback=_rules(Rollback, table, "rollback", problems),
        scenario=_rules(Scenario, table, "scenario", problems),
    )
    return RecordedWatch(watch=watch, problems=tuple(problems))


def recorded_judge(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """What its run is compared by; runs of earlier versions did not record it, and were compared by the default."""
    names = _table(recipe.get("watch")).get("judge")
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else JUDGED


def recorded_baseline(watch: Watch) -> Baseline | None:
    """The trainer writes the run it found in place of a recipe; a recipe still there means that none was found."""
    return None if watch.baseline is None or watch.baseline.recipe else watch.baseline


def recorded_metrics(recipe: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The declarations in force: the recipe's own `metrics` tables, beside the engine's and those of its losses."""
    losses = [metric for name in _table(recipe.get("losses")) for metric in loss_metrics(name)]
    own = recipe.get("metrics")
    recorded = [metric for entry in own if (metric := _metric(entry))] if isinstance(own, list) else []
    return tuple({metric.name: metric for metric in (*ENGINE_METRICS, *losses, *recorded)}.values())


def recorded_epochs(recipe: Mapping[str, Any]) -> float | None:
    """How many epochs the whole run has; None where the recipe does not say."""
    epochs = _table(recipe.get("train")).get("epochs")
    return float(epochs) if isinstance(epochs, int | float) and not isinstance(epochs, bool) else None


def _early_stop(recipe: Mapping[str, Any], problems: list[str]) -> EarlyStop | None:
    stop = _part(EarlyStop, _table(recipe.get("watch")).get("early_stop"), "early_stop", problems)
    if stop is None or directed([stop.metric], recorded_metrics(recipe)):
        return stop
    problems.append(f"early_stop: the recipe does not say which way {stop.metric} is better")
    return None


def _rules(kind: type[AnyRule], table: Mapping[str, Any], name: str, problems: list[str]) -> tuple[AnyRule, ...]:
    entries = table.get(name, [])
    if not isinstance(entries, list):
        problems.append(f"{name}: it is no list of rules")
        return ()
    found = (_part(kind, entry, f"{name} {index + 1}", problems) for index, entry in enumerate(entries))
    return tuple(_parsable(found, name, problems))


def _parsable(rules: Iterator[AnyRule | None], name: str, problems: list[str]) -> Iterator[AnyRule]:
    for rule in rules:
        if rule is None:
            continue
        try:
            parse_rule(rule.when)
        except RuleError as error:
            problems.append(f"{name} {rule.id}: {error}")
            continue
        yield rule


_Part = TypeVar("_Part")


def _part(kind: type[_Part], entry: Any, where: str, problems: list[str]) -> _Part | None:
    """One table as its class; None when it is absent or cannot be read."""
    if entry is None:
        return None
    fields = (
        {**entry, "evaluations": entry.get("for", entry.get("evaluations", 1))} if isinstance(entry, dict) else entry
    )
    try:
        return cattrs.structure(fields, kind)
    except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError):
        problems.append(f"{where}: a field is missing, or is not what belongs there")
        return None


def _metric(entry: Any) -> Metric | None:
    try:
        return cattrs.structure(entry, Metric)
    except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError):
        return None


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
