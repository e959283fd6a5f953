"""The rules of a run that stay in force when its recipe is changed, as tables; what must be left out is said.

A rule goes when it names a metric that the changed recipe does not report, a rule that is gone, or, for a rollback,
a change that the changed recipe cannot take.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from jepa_core.metrics import Metric
from jepa_core.recipes.declared_metrics import undeclared
from jepa_core.recipes.layout import RULE_LISTS
from jepa_core.watch.language import RuleError, parse_rule
from jepa_core.watch.rules import JUDGED, Scenario

_ALARMS = ("abort", "rollback", "scenario")

Table = dict[str, Any]


@attrs.frozen
class FittingRules:
    """A `watch` table that fits."""

    watch: Table
    left_out: tuple[str, ...]
    """What is not in it any more, and why."""


def fitting_rules(
    watch: Mapping[str, Any],
    metrics: Sequence[Metric],
    expanded: Iterable[Scenario],
    can_change: Callable[[Mapping[str, Any]], bool],
) -> FittingRules:
    """The part of a resolved `watch` table that a changed recipe can have.

    Args:
        watch: the recorded table.
        metrics: what the changed recipe reports.
        expanded: the rules of the installed scenarios for the changed recipe, in place of those recorded.
        can_change: whether the changed recipe can take a rollback rule's `set`.
    """
    left_out: list[str] = []
    table = dict(watch)
    for kind in RULE_LISTS:
        rules = [rule for rule in _rules(watch, kind) if not rule.get("of")]
        table[kind] = [rule for rule in rules if not _misses_metric(kind, rule, metrics, left_out)]
    table["rollback"] = [rule for rule in table["rollback"] if not _cannot_change(rule, can_change, left_out)]
    taken = {rule["id"] for kind in _ALARMS for rule in table[kind]}
    table["scenario"] += [_plain(rule) for rule in expanded if rule.id not in taken]
    _drop_orphans(table, left_out)
    _drop_figures(table, metrics, left_out)
    return FittingRules(table, tuple(left_out))


def _rules(watch: Mapping[str, Any], kind: str) -> Iterator[Table]:
    entries = watch.get(kind, [])
    yield from (entry for entry in entries if isinstance(entry, dict) and "id" in entry)


def _misses_metric(kind: str, rule: Table, metrics: Sequence[Metric], left_out: list[str]) -> bool:
    try:
        parsed = parse_rule(str(rule.get("when", "")))
    except RuleError as error:
        left_out.append(f"the {kind} rule {rule['id']} is left out: {error.problem}")
        return True
    missing = undeclared(parsed.names | parsed.baseline_names, metrics)
    if missing:
        left_out.append(f"the {kind} rule {rule['id']} is left out: the changed recipe does not report {missing[0]}")
    return bool(missing)


def _cannot_change(rule: Table, can_change: Callable[[Mapping[str, Any]], bool], left_out: list[str]) -> bool:
    if not rule.get("set") or can_change(rule["set"]):
        return False
    left_out.append(f"the rollback rule {rule['id']} is left out: its change does not fit the changed recipe")
    return True


def _drop_orphans(table: Table, left_out: list[str]) -> None:
    """Rules on the firing of rules that are gone, until there are none."""
    gone = True
    while gone:
        ids = {rule["id"] for kind in _ALARMS for rule in table[kind]}
        gone = False
        for kind in RULE_LISTS:
            orphans = {rule["id"]: missing for rule in table[kind] if (missing := _unknown_fired(rule, ids))}
            left_out += [
                f"the {kind} rule {name} is left out: so is {sorted(of)[0]}, which it waits for"
                for name, of in orphans.items()
            ]
            table[kind] = [rule for rule in table[kind] if rule["id"] not in orphans]
            gone = gone or bool(orphans)


def _unknown_fired(rule: Table, ids: Collection[str]) -> frozenset[str]:
    return parse_rule(rule["when"]).fired_ids.difference(ids)


def _drop_figures(table: Table, metrics: Sequence[Metric], left_out: list[str]) -> None:
    """Judging, early stopping and baseline figures on metrics that are no more."""
    judge, early_stop, baseline = table.get("judge"), table.get("early_stop"), table.get("baseline")
    if isinstance(judge, list) and tuple(judge) != JUDGED and (missing := undeclared(map(str, judge), metrics)):
        left_out += [
            f"the run is no longer judged by {name}: the changed recipe does not report it" for name in missing
        ]
        table["judge"] = [name for name in judge if str(name) not in missing] or list(JUDGED)
    if isinstance(early_stop, dict) and undeclared([str(early_stop.get("metric"))], metrics):
        left_out.append(f"early stopping is left out: the changed recipe does not report {early_stop.get('metric')}")
        del table["early_stop"]
    if isinstance(baseline, dict) and baseline.get("figures"):
        figures = baseline["figures"]
        missing = undeclared(figures, metrics)
        table["baseline"] = {**baseline, "figures": {k: v for k, v in figures.items() if k not in missing}}
        left_out += [f"the baseline's {name} is left out: the changed recipe does not report it" for name in missing]
        if not table["baseline"]["figures"]:
            del table["baseline"]


def _plain(rule: Scenario) -> Table:
    table = {key: value for key, value in attrs.asdict(rule).items() if value is not None}
    return {("for" if key == "evaluations" else key): value for key, value in table.items()}
