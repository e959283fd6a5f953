"""Installed scenarios made into plain watch rules, as a recipe's `[watch.scenarios]` wants them.

    [watch.scenarios]
    order_ignored = false                       # switched off
    codebook_collapse = { of_highest = 0.5 }    # another threshold

What runs, monitors and checks read are the plain rules in the resolved recipe: none of them needs the plugins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from jepa_core.errors import JepaError, PluginError
from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.recipes.declared_metrics import declared_metrics, undeclared
from jepa_core.recipes.expectations import value_words
from jepa_core.recipes.faults import Problem, did_you_mean
from jepa_core.recipes.refusals import TableReader
from jepa_core.recipes.structuring import recipe_table
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import Component, Registry
from jepa_core.visible_text import visible
from jepa_core.watch.language import RuleError, parse_rule
from jepa_core.watch.rules import Scenario

FAMILY = "scenario"

MOST_OF_ID = 100
"""Characters of a rule's id."""

RENAMED = {"below_cell_counting": "below_strongest_null"}
"""Names that recipes may still have → what they are called now."""


def scenario_problems(chosen: Mapping[str, Any], registry: Registry) -> Iterator[Problem]:
    """What is wrong with a recipe's `[watch.scenarios]`."""
    installed = registry.family(FAMILY)
    for name, value in chosen.items():
        path = ("watch", "scenarios", name)
        if name not in installed:
            hint = f" It is called {RENAMED[name]} now." if name in RENAMED else did_you_mean(name, installed)
            message = f"no scenario of this name.{hint}"
            yield Problem(
                path=path, message=message, notes=(f"installed: {', '.join(installed) or 'none'}",), at_key=True
            )
        elif isinstance(value, dict):
            yield from _reader(installed[name]).read(value, installed[name].config_class)[1]
        elif not isinstance(value, bool):
            yield Problem(path=path, message=f"expected false, or a table of settings, got {value_words(value)}")


def expand_scenarios(recipe: Recipe, registry: Registry) -> tuple[Scenario, ...]:
    """The rules of every installed scenario that the recipe leaves on; a rule of the recipe's own id replaces one.

    Raises:
        PluginError: a scenario cannot be built, or gives something that is no rule of this recipe.
    """
    watch = recipe.watch
    taken = {rule.id for rule in watch.alarms}
    metrics = declared_metrics(recipe)
    facts = ScenarioFacts(recipe=recipe_table(recipe), metrics=frozenset(metric.name for metric in metrics))
    rules: dict[str, Scenario] = {}
    for name, component in registry.family(FAMILY).items():
        chosen = watch.scenarios.get(name, True)
        if chosen is False:
            continue
        config, _ = _reader(component).read(chosen if isinstance(chosen, dict) else {}, component.config_class)
        for rule in _built(component, config, facts):
            fault = _fault(rule, metrics)
            if fault or rule.id in rules:
                raise _error(component, fault or f"gives two rules of the id {rule.id!r}")
            if rule.id not in taken:
                rules[rule.id] = attrs.evolve(rule, of=name)
    return tuple(rules.values())


def _reader(component: Component) -> TableReader:
    return TableReader(root={}, path=("watch", "scenarios", component.name), component=component.name)


def _built(component: Component, config: Any, facts: ScenarioFacts) -> tuple[Scenario, ...]:
    try:
        rules = tuple(config.build(facts))
    except JepaError:
        raise
    except (Exception, SystemExit) as error:  # the plugin's code
        raise _error(component, f"cannot be built: {type(error).__name__}: {error}") from error
    for rule in rules:
        if not isinstance(rule, Scenario):
            raise _error(component, f"gives a {type(rule).__name__} among its rules, not a Scenario")
    return rules


def _fault(rule: Scenario, metrics: Iterable[Metric]) -> str:
    """What is wrong with a rule; empty when nothing is."""
    if fault := id_fault(rule.id):
        return f"gives a rule whose id {fault}"
    try:
        unknown = undeclared(parse_rule(rule.when).names, metrics)
    except RuleError as error:
        return f"gives a rule that cannot be read: {error}"
    return f"gives the rule {rule.id}, but no metric of this recipe is named {unknown[0]}" if unknown else ""


def id_fault(rule_id: str) -> str:
    """Why events and commands cannot call a rule so; empty where they can."""
    if not rule_id.strip():
        return "is empty: events and commands call the rule by it"
    if len(rule_id) > MOST_OF_ID:
        return f"has {len(rule_id):,} characters, more than {MOST_OF_ID}: title holds what is longer"
    if visible(rule_id) != rule_id or rule_id != " ".join(rule_id.split()):
        return "has a blank at an end, two in a row, or what is not printed as itself: nobody could type it as it reads"
    return ""


def _error(component: Component, problem: str) -> PluginError:
    return PluginError(
        f"The scenario {component.name} of {component.origin} {problem}.\n"
        f"Switch it off in the recipe, [watch.scenarios] {component.name} = false, or mend the plugin."
    )
