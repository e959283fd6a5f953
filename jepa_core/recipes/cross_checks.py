"""What no single table can say about itself.

Rules are held against the metrics that the recipe declares, a rollback's changes against the whole recipe, and the
recipes it names against the folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from jepa_core.contracts import ComponentConfig, InfersSpace, Space, spaces_of
from jepa_core.errors import JepaError
from jepa_core.metrics import Metric, declaration_of
from jepa_core.recipes.declared_metrics import declared_metrics, undeclared
from jepa_core.recipes.faults import MOST_HINTS, Problem, did_you_mean
from jepa_core.recipes.key_path import KeyPath
from jepa_core.recipes.layers import recipe_names, shipped_recipes
from jepa_core.recipes.merging import MergedRecipe
from jepa_core.recipes.scenarios import expand_scenarios, id_fault, scenario_problems
from jepa_core.recipes.structuring import Structured, structure_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import Registry
from jepa_core.watch.language import Rule, RuleError, parse_rule
from jepa_core.watch.rules import JUDGED, Alarm, Baseline, Criterion, Rollback, Watch

Metrics = Sequence[Metric] | None
"""What may be named; None while the components, which declare it, are at fault themselves."""

_WATCH = "watch"
_EMPTY = '""'


@attrs.frozen(kw_only=True)
class CrossChecks:
    """The checks of one recipe, as far as it could be read."""

    structured: Structured
    merged: MergedRecipe
    path: Path
    registry: Registry

    def problems(self) -> list[Problem]:
        """Everything that does not fit together."""
        watch, recipe = self.structured.watch, self.structured.recipe
        metrics = None if recipe is None else declared_metrics(recipe)
        found = [] if recipe is None else [*_space_problems(recipe, self.registry), *_augmentation_problems(recipe)]
        found += [*_rule_problems(watch, metrics, self._expanded_ids()), *_judging_problems(watch, metrics)]
        if watch.baseline is not None:
            found += _baseline_problems(watch.baseline, metrics)
        for index, rollback in enumerate(watch.rollback):
            found += self._rollback_problems(rollback, (_WATCH, "rollback", index))
        for index, scenario in enumerate(watch.scenario):
            if not scenario.of:
                found += self._change_problems(scenario.set, (_WATCH, "scenario", index, "set"))
        if "resolved" not in self.merged.table:
            found += scenario_problems(watch.scenarios, self.registry)
        return found

    def _expanded_ids(self) -> set[str]:
        """Ids that the installed scenarios' rules will have."""
        recipe = self.structured.recipe
        if (
            recipe is None
            or "resolved" in self.merged.table
            or any(scenario_problems(recipe.watch.scenarios, self.registry))
        ):
            return set()
        return {rule.id for rule in expand_scenarios(recipe, self.registry)}

    def _rollback_problems(self, rollback: Rollback, path: KeyPath) -> Iterator[Problem]:
        if rollback.set and rollback.use:
            yield Problem(path=(*path, "use"), message="give either set or use: use replaces the whole recipe")
        if rollback.use and "resolved" not in self.merged.table:
            yield from self._use_problems(rollback.use, (*path, "use"))
        change = dict(rollback.set)
        if "data" in change and "resolved" not in self.merged.table:
            # A run that was recorded with such a rule is read, and resumed, all the same.
            message = (
                "a rollback goes on with the data that its run began with, so it cannot change them: for other data "
                "begin a new run"
            )
            yield from (
                Problem(path=(*path, "set", *key), message=message, at_key=True)
                for key in _leaves({"data": change.pop("data")})
            )
        yield from self._change_problems(change, (*path, "set"))

    def _change_problems(self, change: Mapping[str, Any], path: KeyPath) -> Iterator[Problem]:
        """What a change of the recipe does not make a recipe for."""
        if not change:
            return
        if "extends" in change:
            message = "extends is for files; use = NAME takes another recipe whole"
            yield Problem(path=(*path, "extends"), message=message, at_key=True)
        changed = self.merged.with_changes(dict(change))
        known = {(problem.path, problem.message) for problem in self.structured.problems}
        for problem in structure_recipe(changed, path=self.path, registry=self.registry).problems:
            if (problem.path, problem.message) not in known:
                yield attrs.evolve(problem, path=(*path, *_shared(problem.path, change)))

    def _use_problems(self, name: str, path: KeyPath) -> Iterator[Problem]:
        siblings, shipped = (recipe_names(folder) for folder in (self.path.parent, shipped_recipes()))
        if name not in (*siblings, *shipped):
            message = f"no recipe of this name beside {self.path}.{did_you_mean(name, [*siblings, *shipped])}"
            notes = (f"recipes there: {', '.join(siblings)}", f"by name from anywhere: {', '.join(shipped)}")
            yield Problem(path=path, message=message, notes=notes if siblings != shipped else notes[:1])


def _space_problems(recipe: Recipe, registry: Registry) -> Iterator[Problem]:
    """Components that do not take the observations that the data has."""
    try:
        space: type[Space] = recipe.data.space
    except JepaError:  # it depends on data that cannot be read, which building it will tell
        return
    parts: list[tuple[KeyPath, str, ComponentConfig]] = [(("encoder",), "encoder", recipe.encoder)]
    parts += [
        (("augmentation", name), "augmentation", entry.config) for name, entry in recipe.used_augmentations.items()
    ]
    parts += [(("losses", name), "loss", entry.config) for name, entry in recipe.losses.items()]
    for path, family, config in parts:
        taken = spaces_of(config)
        if taken and space not in taken:
            others = [
                component.name
                for component in registry.family(family).values()
                if family != "loss" and space in spaces_of(component.config_class)
            ]
            there = (f"for {space.plural} there is: {', '.join(others)}",) if others else ()
            yield Problem(
                path=(*path, "kind") if len(path) == 1 else path,
                message=f"{config.kind} takes {' and '.join(each.plural for each in taken)}, and data.kind = "
                f'"{recipe.data.kind}" gives {space.plural}',
                notes=(*there, *_inferred(recipe.data)),
                at_key=len(path) > 1,
            )


def _inferred(data: Any) -> tuple[str, ...]:
    """What data was taken for where the recipe does not say it: a part that does not fit may show that it is wrong."""
    try:
        return data.inferred() if isinstance(data, InfersSpace) else ()
    except JepaError:  # the recipe says what space it is, and the data cannot be read
        return ()


def _augmentation_problems(recipe: Recipe) -> Iterator[Problem]:
    """Losses that look through augmentations which the recipe does not have."""
    there = list(recipe.augmentation)
    for name, entry in recipe.losses.items():
        if entry.looks_through_all and not recipe.used_augmentations:
            yield Problem(
                path=("losses", name),
                message=f"{entry.config.kind} looks at its views through augmentations, and this recipe enables none",
                notes=(
                    'name some of its tables: augmentations = ["NAME"]; one with enabled = false changes no batch',
                    f"it has: {', '.join(there) or 'no [augmentation.NAME]'}",
                ),
                at_key=True,
            )
        for asked in entry.augmentations:
            if asked not in there:
                yield Problem(
                    path=("losses", name, "augmentations"),
                    message=f"there is no [augmentation.{asked}] in this recipe.{did_you_mean(asked, there)}",
                    notes=(f"it has: {', '.join(there)}",) if there else (),
                )


def _rule_problems(watch: Watch, metrics: Metrics, expanded: set[str]) -> Iterator[Problem]:
    can_fire = {rule.id for rule in watch.alarms} | expanded
    lists: dict[str, Sequence[Criterion | Alarm]] = {
        "must": watch.must,
        "nice": watch.nice,
        "abort": watch.abort,
        "rollback": watch.rollback,
        "scenario": watch.scenario,
    }
    for kind, rules in lists.items():
        ids = [rule.id for rule in rules]
        for index, rule in enumerate(rules):
            path = (_WATCH, kind, index)
            if fault := id_fault(rule.id):
                yield Problem(path=(*path, "id"), message=fault)
            elif rule.id in ids[:index]:
                yield Problem(path=(*path, "id"), message=f"another rule of watch.{kind} has this id already")
            yield from _condition_problems(rule.when, (*path, "when"), metrics, can_fire)
            yield from _timing_problems(rule, path)
    alarms: dict[str, Sequence[Alarm]] = {
        "abort": watch.abort,
        "rollback": watch.rollback,
        "scenario": watch.scenario,
    }
    taken: dict[str, str] = {}
    for kind, of_kind in alarms.items():
        for index, rule in enumerate(of_kind):
            if taken.setdefault(rule.id, kind) != kind:
                message = (
                    f"a rule of watch.{taken[rule.id]} has this id already, and fired({rule.id!r}) would mean either"
                )
                yield Problem(path=(_WATCH, kind, index, "id"), message=message)


def _timing_problems(rule: Criterion | Alarm, path: KeyPath) -> Iterator[Problem]:
    """Epochs and counts under which the rule could never be judged."""
    if isinstance(rule, Criterion):
        if rule.after_epoch is not None and rule.until_epoch is not None and rule.after_epoch >= rule.until_epoch:
            message = f"no row is later than epoch {rule.after_epoch:g} and not later than {rule.until_epoch:g}"
            yield Problem(path=(*path, "until_epoch"), message=message)
    elif rule.at_epoch is not None and rule.evaluations > 1:
        message = (
            f"at_epoch judges a single validation, so {rule.evaluations} in a row never happen: "
            "use after_epoch, or leave out for"
        )
        yield Problem(path=(*path, "for"), message=message)


def _judging_problems(watch: Watch, metrics: Metrics) -> Iterator[Problem]:
    """What runs cannot be compared by or stopped on: it is not reported, or has no direction."""
    if not watch.judge:
        yield Problem(path=(_WATCH, "judge"), message="name at least one metric, or leave judge out for the usual ones")
    if metrics is None:
        return
    # Of the usual ones, those that a recipe does not report are passed over.
    own = watch.judge if watch.judge != JUDGED else ()
    named: list[tuple[KeyPath, str]] = [((_WATCH, "judge", index), name) for index, name in enumerate(own)]
    if watch.early_stop is not None:
        named.append(((_WATCH, "early_stop", "metric"), watch.early_stop.metric))
    for index, name in enumerate(own):
        if name in own[:index]:
            yield Problem(path=(_WATCH, "judge", index), message=f"{name} stands in watch.judge already")
    for number, (path, name) in enumerate(named):
        metric = declaration_of(name, metrics)
        if metric is None:
            directed = [known.name for known in metrics if known.better != "neither"] if number < MOST_HINTS else []
            hint = did_you_mean(name, directed)
            yield Problem(path=path, message=f"no metric of this recipe is named {name or _EMPTY}.{hint}")
        elif metric.better == "neither":
            yield Problem(path=path, message=f"{name} cannot be judged: neither higher nor lower is better")


def _condition_problems(text: str, path: KeyPath, metrics: Metrics, can_fire: Iterable[str]) -> Iterator[Problem]:
    try:
        rule = parse_rule(text)
    except RuleError as error:
        notes = (f"allowed: {error.allowed}",) if error.allowed else ()
        span = (error.start, error.end) if error.end > error.start else None
        yield Problem(path=path, message=error.problem, notes=notes, span=span)
        return
    yield from _name_problems(rule, path, metrics)
    yield from _direction_problems(rule, path, metrics)
    for name in sorted(rule.fired_ids.difference(can_fire)):
        message = f"no abort, rollback or scenario rule has the id {name!r}.{did_you_mean(name, can_fire)}"
        yield Problem(path=path, message=message, span=_span(text, name))


def _name_problems(rule: Rule, path: KeyPath, metrics: Metrics) -> Iterator[Problem]:
    for name in _undeclared(rule.names | rule.baseline_names, metrics):
        hint = did_you_mean(name, _names(metrics))
        message = f"no metric of this recipe is named {name}.{hint}"
        yield Problem(path=path, message=message, span=_span(rule.text, name))


def _direction_problems(rule: Rule, path: KeyPath, metrics: Metrics) -> Iterator[Problem]:
    better = {metric.name: metric.better for metric in metrics or ()}
    for name in sorted(rule.directed_names):
        if better.get(name) == "neither":
            message = f"best({name}) has no meaning: neither higher nor lower is better. Use min, max or last"
            yield Problem(path=path, message=message, span=_span(rule.text, name))


def _baseline_problems(baseline: Baseline, metrics: Metrics) -> Iterator[Problem]:
    path = (_WATCH, "baseline")
    given = [key for key in ("recipe", "run", "figures") if getattr(baseline, key)]
    if len(given) != 1:
        message = f"give exactly one of recipe, run and figures, not {' and '.join(given) or 'none'}"
        yield Problem(path=path, message=message, at_key=True)
    if baseline.figures and not baseline.data:
        message = (
            "figures are a baseline only for the data they were measured on: give its fingerprint, data = …, which a "
            "run on it has in environment.json as data_fingerprint"
        )
        yield Problem(path=(*path, "figures"), message=message, at_key=True)
    for name in _undeclared(baseline.figures, metrics):
        hint = did_you_mean(name, _names(metrics))
        message = f"no metric of this recipe is named {name}.{hint}"
        yield Problem(path=(*path, "figures", name), message=message, at_key=True)


def _undeclared(names: Iterable[str], metrics: Metrics) -> list[str]:
    return [] if metrics is None else undeclared(names, metrics)


def _names(metrics: Metrics) -> list[str]:
    return [metric.name for metric in metrics or ()]


def _leaves(changes: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(changes, Mapping) and changes:
        for key, value in changes.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path


def _shared(path: KeyPath, changes: Mapping[str, Any]) -> KeyPath:
    """The part of a path that the changes hold."""
    node: Any = changes
    for length, key in enumerate(path):
        if not isinstance(node, Mapping) or key not in node:
            return path[:length]
        node = node[key]
    return path


def _span(text: str, part: str) -> tuple[int, int] | None:
    start = text.find(part)
    return None if start < 0 else (start, start + len(part))
