"""What holds for scenarios: rules that can be read and name metrics there are, each with words and advice."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import require
from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import ENGINE_METRICS, loss_metrics
from jepa_core.recipes import layout
from jepa_core.recipes.engine_tables import ENGINE_TABLES
from jepa_core.recipes.strict_converter import strict_converter
from jepa_core.watch.language import RuleError, parse_rule
from jepa_core.watch.rules import Scenario

_LOSS = "contrast"


def built(trial: Trial) -> None:
    """The defaults build rules of a small recipe."""
    for rule in _rules(trial):
        require(isinstance(rule, Scenario), f"build gives a {type(rule).__name__} among its rules, not a Scenario")


def readable(trial: Trial) -> None:
    """Every rule can be read, and a user who sees it knows what to do."""
    ids: set[str] = set()
    for rule in _rules(trial):
        require(rule.id not in ids, f"two rules have the id {rule.id!r}")
        ids.add(rule.id)
        require(bool(rule.title and rule.advice), f"the rule {rule.id} has no title or no advice")
        try:
            names = parse_rule(rule.when).names
        except RuleError as error:
            require(False, f"the rule {rule.id} cannot be read: {error}")
        unknown = sorted(names - _facts().metrics)
        require(not unknown, f"the rule {rule.id} names {', '.join(unknown)}, which no run reports")


def _rules(trial: Trial) -> Iterator[Scenario]:
    yield from trial.config.build(_facts())


def _facts() -> ScenarioFacts:
    """Of a recipe with one loss and the engine's defaults."""
    plain = strict_converter().unstructure
    engine = {name: plain(owner()) for name, owner in ENGINE_TABLES.items()}
    components = {name: {"kind": "any"} for name in layout.COMPONENT_TABLES}
    losses = {_LOSS: {"kind": _LOSS, "weight": 1.0}}
    names = {metric.name for metric in (*ENGINE_METRICS, *loss_metrics(_LOSS))}
    return ScenarioFacts(recipe={**components, **engine, layout.LOSSES: losses}, metrics=frozenset(names))
