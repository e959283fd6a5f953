"""Layers of a recipe merged into one table that remembers where every value came from.

Merging is key by key, with two exceptions: a new `kind` drops the old kind's fields, and watch rules merge by `id`; an
empty list of them drops those there are. An empty table changes nothing, so it is refused where something is there.
Whether the result makes sense is for `structuring` to say.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import attrs

from jepa_core.recipes.faults import Fault, Problem
from jepa_core.recipes.key_path import KeyPath, dotted
from jepa_core.recipes.layers import Layer
from jepa_core.recipes.layout import COMPONENT_TABLES, LOSSES, NAMED_TABLES, OBSERVERS, RULE_LISTS, TEXT_KEYS


@attrs.frozen(kw_only=True)
class Origin:
    """Where a value stands."""

    layer: Layer
    path: KeyPath
    """Within the layer; differs from the merged path for rules."""


class MergedRecipe:
    """The table that layers give together."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.table: dict[str, Any] = {}
        self._origins: dict[KeyPath, Origin] = {}
        self.without_effect: list[Fault] = []
        """Empty tables, of flags and of files that extend others, where they drop nothing of what is there."""
        for layer in layers:
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Put a child over what is there."""
        if not layer.is_flag:
            self._drop(self.table, TEXT_KEYS, ())
            self._origins[()] = Origin(layer=layer, path=())
        child = {key: value for key, value in copy.deepcopy(layer.table).items() if key != "extends"}
        self._merge_table(self.table, child, (), layer)

    def with_changes(self, changes: dict[str, Any]) -> dict[str, Any]:
        """The table as it would be with `changes` on top; without the rules, where they do not change."""
        touched = {key: value for key, value in self.table.items() if key != "watch" or key in changes}
        changed = MergedRecipe([Layer(where="", table=touched), Layer(where="", table=changes)])
        return changed.table

    def located(self, problem: Problem) -> Fault:
        """The problem traced to the line or flag that set it."""
        key = dotted(problem.path, self.table)
        for length in range(len(problem.path), -1, -1):
            origin = self._origins.get(problem.path[:length])
            if origin is not None:
                return origin.layer.fault(problem, origin.path + problem.path[length:], key)
        return Fault(where="", key=key, message=problem.message, notes=problem.notes, component=problem.component)

    def _merge_table(self, table: dict[str, Any], child: dict[str, Any], path: KeyPath, layer: Layer) -> None:
        self._drop_fields_of_old_kind(table, child, path, layer)
        for key, value in child.items():
            here = (*path, key)
            old = table.get(key)
            if value == {} and (isinstance(old, dict) or (layer.is_flag and _is_left_out_by_name(here))):
                problem = Problem(path=here, message=_nothing_dropped(here, old, layer), at_key=True)
                self.without_effect.append(layer.fault(problem, here, dotted(here, self.table)))
            if isinstance(value, dict) and isinstance(old, dict):
                self._merge_table(old, value, here, layer)
            elif _is_rule_list(here) and isinstance(value, list) and value and isinstance(old, list):
                self._merge_rules(old, value, here, layer)
            else:
                if key in table:
                    self._forget(here)
                table[key] = value
                self._origins[here] = Origin(layer=layer, path=here)

    def _merge_rules(self, rules: list[Any], child: list[Any], path: KeyPath, layer: Layer) -> None:
        places = {_id(rule): index for index, rule in enumerate(rules) if _id(rule) is not None}
        for index, rule in enumerate(child):
            place = places.get(_id(rule), len(rules))
            rules[place : place + 1] = [rule]
            self._forget((*path, place))
            self._origins[(*path, place)] = Origin(layer=layer, path=(*path, index))

    def _drop_fields_of_old_kind(
        self, table: dict[str, Any], child: dict[str, Any], path: KeyPath, layer: Layer
    ) -> None:
        default = _default_kind(path)
        if default is not None and "kind" in child and child["kind"] != table.get("kind", default):
            kept = {"weight"} if path[0] == LOSSES else set()
            self._drop(table, [key for key in table if key not in kept], path)
            self._origins[path] = Origin(layer=layer, path=path)

    def _drop(self, table: dict[str, Any], keys: Iterable[str], path: KeyPath) -> None:
        for key in keys:
            table.pop(key, None)
            self._forget((*path, key))

    def _forget(self, path: KeyPath) -> None:
        for known in [known for known in self._origins if known[: len(path)] == path]:
            del self._origins[known]


def _default_kind(path: KeyPath) -> str | None:
    """The kind of a component's table that names none; empty when it must; None for other tables."""
    if len(path) == 1 and path[0] in COMPONENT_TABLES:
        return COMPONENT_TABLES[str(path[0])].default_kind or ""
    return str(path[1]) if len(path) == 2 and path[0] in NAMED_TABLES else None


def _is_left_out_by_name(path: KeyPath) -> bool:
    """Whether more than the recipe's own may be at work in a table, so that an empty one means to stop it."""
    return len(path) == 1 and path[0] in NAMED_TABLES and path[0] != LOSSES


def _nothing_dropped(path: KeyPath, old: Any, layer: Layer) -> str:
    """What is wrong with an empty table, and what does as was meant."""
    family, key = path[0], ".".join(map(str, path))
    entry = key if len(path) == 2 else f"{key}.{next(iter(old or ()), 'NAME')}"

    def set_to(table: str, name: str, value: str) -> str:
        return f"--set {table}.{name}={value}" if layer.is_flag else f"[{table}] {name} = {value}"

    said = "an empty table changes nothing: what is there stays"
    if family in COMPONENT_TABLES and len(path) == 1:
        return f"{said}. Another component: {set_to(key, 'kind', 'KIND')}"
    if family not in NAMED_TABLES or len(path) > 2:
        return f"{said}. Set its values one by one: {set_to(key, 'KEY', 'VALUE')}"
    if family == LOSSES:
        return f"{said}. To take a loss out: {set_to(entry, 'weight', '0')}; a recipe needs at least one loss"
    if family == OBSERVERS:
        return f"{said}. Observers are taken out in the recipe's file that has them"
    return f"{said}. To take one out: {set_to(entry, 'enabled', 'false')}"


def _id(rule: Any) -> str | None:
    name = rule.get("id") if isinstance(rule, dict) else None
    return name if isinstance(name, str) else None


def _is_rule_list(path: KeyPath) -> bool:
    return len(path) == 2 and path[0] == "watch" and path[1] in RULE_LISTS
