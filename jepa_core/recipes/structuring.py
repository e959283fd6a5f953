"""A merged table made into a `Recipe`: every table structured by its owner's class, all problems collected.

Knows the layout of a recipe and the registry; knows nothing of files, nor of what the watch rules say.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_core.contracts import ComponentConfig
from jepa_core.discovery.remarks import OWN_DISTRIBUTION, BlockedPlugin, BrokenPlugin, PluginRemark
from jepa_core.recipes import layout
from jepa_core.recipes.engine_tables import ENGINE_TABLES, all_keys
from jepa_core.recipes.expectations import as_text, value_words
from jepa_core.recipes.faults import MOST_HINTS, Problem, hint_at_key
from jepa_core.recipes.field_descriptions import FieldDescription, describe_fields
from jepa_core.recipes.key_path import KeyPath
from jepa_core.recipes.recorded_extras import IGNORED_KEYS
from jepa_core.recipes.refusals import TableReader
from jepa_core.recipes.strict_converter import strict_converter
from jepa_core.recipes.tables import AugmentationEntry, LossEntry, NullEntry, ObserverEntry, Place, Recipe
from jepa_core.registry import Registry
from jepa_core.settings import setting
from jepa_core.watch.rules import Watch

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_MOST_TABLES = 64
"""Losses, augmentations, nulls and observers of a recipe, of each kind."""
_OTHER_NAME = "a table named otherwise says which {} it is: kind = …"


@attrs.frozen(kw_only=True)
class LossWeight:
    """What every `[losses.NAME]` table has beside its component's fields."""

    weight: float = setting("factor of the term in the objective", default=1.0, at_least=0)


@attrs.frozen(kw_only=True)
class DataPlace:
    """What the `[data]` table has beside its component's fields."""

    place: Place = setting(
        "where training sequences lie on CUDA: auto keeps what would take much of the device's memory on the host, and "
        "batches are copied from there one ahead",
        default="auto",
        choices=("auto", "device", "host"),
    )


@attrs.frozen(kw_only=True)
class AugmentationSwitch:
    """What every `[augmentation.NAME]` table has beside its component's fields."""

    enabled: bool = setting("change every batch with it; false leaves it to losses that look through it", default=True)


@attrs.frozen(kw_only=True)
class NullSwitch:
    """What every `[nulls.NAME]` table has beside its component's fields."""

    enabled: bool = setting("rank it; the verdict names those that are switched off", default=True)


GENERIC_FIELDS: dict[str, type] = {
    "augmentation": AugmentationSwitch,
    "dataset": DataPlace,
    "loss": LossWeight,
    "null": NullSwitch,
}
"""By family, the fields of a component's table that belong to every component of the family."""


def generic_fields(family: str) -> tuple[FieldDescription, ...]:
    """Those fields, described; none where a family has none."""
    owner = GENERIC_FIELDS.get(family)
    return describe_fields(owner) if owner else ()


@attrs.frozen
class Structured:
    """A recipe as far as it could be read, and what is wrong with it."""

    recipe: Recipe | None
    """None when a component is at fault. What is at fault in an engine's table is replaced by its default."""
    watch: Watch
    problems: tuple[Problem, ...]


def structure_recipe(table: Mapping[str, Any], *, path: Path, registry: Registry) -> Structured:
    """The recipe that a merged table describes; `path` gives its name when it has none."""
    structuring = _Structuring(dict(table), registry)
    components = structuring.components()
    tables = structuring.engine_tables()
    texts = structuring.texts(path.stem) | {"place": structuring.place()}
    structuring.refuse_unknown_tables()
    losses = components[layout.LOSSES]
    named = [part for table in layout.NAMED_TABLES for part in components[table].values()]
    parts = (*components.values(), *named)
    whole = bool(losses) and all(part is not None for part in parts)
    recipe = Recipe(**texts, **components, **tables) if whole else None
    return Structured(recipe, tables["watch"], tuple(structuring.problems))


def recipe_table(recipe: Recipe) -> dict[str, Any]:
    """The resolved recipe as plain TOML data, all defaults filled in; it structures to an equal recipe."""
    plain = strict_converter().unstructure

    def table_of(config: ComponentConfig | None, **generic: Any) -> dict[str, Any]:
        return generic if config is None else {"kind": config.kind, **generic, **plain(config)}

    components = {name: table_of(getattr(recipe, name)) for name in layout.COMPONENT_TABLES}
    components["data"] = table_of(recipe.data, place=recipe.place)
    losses = {name: table_of(entry.config, weight=entry.weight) for name, entry in recipe.losses.items()}
    observers = {name: table_of(entry.config) for name, entry in recipe.observers.items()}
    nulls = {name: table_of(entry.config, enabled=entry.enabled) for name, entry in recipe.nulls.items()}
    augmentation = {name: table_of(entry.config, enabled=entry.enabled) for name, entry in recipe.augmentation.items()}
    optional = {layout.AUGMENTATION: augmentation, layout.NULLS: nulls, layout.OBSERVERS: observers}
    named = {layout.LOSSES: losses, **{name: tables for name, tables in optional.items() if tables}}
    engine = {name: plain(getattr(recipe, name)) for name in ENGINE_TABLES}
    texts = {key: getattr(recipe, key) for key in layout.TEXT_KEYS}
    return {**texts, **components, **named, **engine}


class _Structuring:
    """Reads the tables of one recipe, gathering problems."""

    def __init__(self, table: dict[str, Any], registry: Registry) -> None:
        self.registry = registry
        self.problems: list[Problem] = []
        self.table = {key: value for key, value in table.items() if not _is_ignored(key, value)}
        augmentation = self.table.get(layout.AUGMENTATION)
        if isinstance(augmentation, dict):
            whole = {name: self._whole_augmentation(name, value) for name, value in augmentation.items()}
            self.table[layout.AUGMENTATION] = whole

    def components(self) -> dict[str, Any]:
        """Configurations by table, the losses, nulls and observers; None for what is at fault."""
        owners = layout.COMPONENT_TABLES.items()
        configs = {name: self._component((name,), owner.family, owner.default_kind) for name, owner in owners}
        return {
            **configs,
            layout.AUGMENTATION: {name: self._augmentation(name) for name in self._named_tables(layout.AUGMENTATION)},
            layout.LOSSES: self._losses(),
            layout.NULLS: {name: self._null(name) for name in self._named_tables(layout.NULLS)},
            layout.OBSERVERS: {name: self._observer(name) for name in self._named_tables(layout.OBSERVERS)},
        }

    def engine_tables(self) -> dict[str, Any]:
        """The engine's tables; defaults for what is at fault."""
        return {name: self._engine_table(name, owner) for name, owner in ENGINE_TABLES.items()}

    def _engine_table(self, name: str, owner: type[Any]) -> Any:
        """As far as it can be read, so that one fault does not hide what the checks of the rest would find."""
        table = self.table.get(name, {})
        reader = TableReader(root=self.table, path=(name,))
        instance, problems = reader.read(table, owner)
        self.problems.extend(problems)
        if problems and isinstance(table, dict):
            at_fault = {problem.path[1] for problem in problems if len(problem.path) > 1}
            instance, _ = reader.read({key: value for key, value in table.items() if key not in at_fault}, owner)
        return instance or owner()

    def place(self) -> Place:
        """Where the data lies; the default for what is at fault."""
        table = self.table.get("data", {})
        given = {key: table[key] for key in ("place",) if key in table} if isinstance(table, dict) else {}
        place: Place = (self._read(("data",), given, DataPlace) or DataPlace()).place
        return place

    def texts(self, default_name: str) -> dict[str, Any]:
        """Name and description."""
        return {"name": self._name(default_name), "description": self._description()}

    def refuse_unknown_tables(self) -> None:
        """Every key must be one that a recipe has."""
        known = all_keys()
        for number, key in enumerate(key for key in self.table if key not in known):
            hint = hint_at_key(key, known) if number < MOST_HINTS else ""
            message = f"no table or key of this name in a recipe.{hint}"
            keys = ("extends", *layout.TEXT_KEYS)
            tables = f"tables: {', '.join(name for name in known if name not in keys)}"
            self._add((key,), message, tables, f"keys above them: {', '.join(keys)}", at_key=True)

    def _name(self, default: str) -> str:
        name = self.table.get("name", default)
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            message = f"expected at most 64 of a–z, A–Z, 0–9, - and _, since runs are named so, got {value_words(name)}"
            text = as_text(name) if _NAME.fullmatch(as_text(name)) else ""
            self.problems.append(Problem(path=("name",), message=message, as_text=text))
        return str(name)

    def _description(self) -> str:
        description = self.table.get("description", "")
        if not isinstance(description, str):
            message = f"expected text, got {value_words(description)}"
            self.problems.append(Problem(path=("description",), message=message, as_text=as_text(description)))
        return str(description)

    def _losses(self) -> dict[str, LossEntry | None]:
        tables = self._named_tables(layout.LOSSES, "info_nce")
        if not tables and isinstance(self.table.get(layout.LOSSES, {}), dict):
            self._add((layout.LOSSES,), "a recipe needs at least one loss", self._installed("loss"))
        losses = {name: self._loss(name) for name in tables}
        if losses and all(entry is not None and entry.weight == 0 for entry in losses.values()):
            several = len(losses) > 1
            message = f"{'every' if several else 'the only'} loss has weight 0, so that nothing would be trained"
            self._add((layout.LOSSES, next(iter(losses)), "weight"), f"{message}: give one a weight above 0")
        return losses

    def _loss(self, name: str) -> LossEntry | None:
        path = (layout.LOSSES, name)
        if _TABLE_NAME.fullmatch(name) is None or name in layout.RESERVED_LOSS_NAMES:
            reserved = ", ".join(sorted(layout.RESERVED_LOSS_NAMES))
            message = "a loss is named by at most 32 of a–z, 0–9 and _, since metrics are named after it"
            self._add(path, message, f"taken by the engine's own metrics: {reserved}", at_key=True)
        config = self._component(path, "loss", name)
        table = self.table[layout.LOSSES][name]
        if not isinstance(table, dict):
            return None
        weight = self._read(path, {key: table[key] for key in ("weight",) if key in table}, LossWeight)
        if config is None or weight is None:
            return None
        return LossEntry(name=name, weight=weight.weight, config=config)

    def _whole_augmentation(self, name: str, value: Any) -> Any:
        """`augmentation.NAME = true` or `false` is short for a table, and a number for one with this `share`."""
        if isinstance(value, bool):
            return {"enabled": value}
        if not isinstance(value, int | float):
            return value
        if not value:
            return {"enabled": False}
        component = self.registry.get("augmentation", name)
        if component is not None and not hasattr(component.config_class, "share"):
            message = f"a number is short for a share, and {name} has none: write true, or a table"
            self._add((layout.AUGMENTATION, name), message)
            return {}
        return {"share": value}

    def _augmentation(self, name: str) -> AugmentationEntry | None:
        path = (layout.AUGMENTATION, name)
        table = self._table_at(path)
        if table is None:
            return None
        switch = self._read(path, {k: v for k, v in table.items() if k == "enabled"}, AugmentationSwitch)
        config = self._component(path, "augmentation", name)
        if switch is None or config is None:
            return None
        return AugmentationEntry(name=name, enabled=switch.enabled, config=config)

    def _null(self, name: str) -> NullEntry | None:
        path = (layout.NULLS, name)
        table = self._table_at(path)
        if table is None:
            return None
        is_own = name == layout.UNTRAINED
        switch = self._read(path, table if is_own else {k: v for k, v in table.items() if k == "enabled"}, NullSwitch)
        config = None if is_own else self._component(path, "null", name)
        if switch is None or (config is None and not is_own):
            return None
        return NullEntry(name=name, enabled=switch.enabled, config=config)

    def _named_tables(self, key: str, example: str = "NAME") -> dict[str, Any]:
        tables = self.table.get(key, {})
        if not isinstance(tables, dict):
            self._add((key,), f"expected tables such as [{key}.{example}], got {value_words(tables)}")
            return {}
        if len(tables) > _MOST_TABLES:
            self._add((key,), f"{len(tables)} tables, and there may be {_MOST_TABLES}", at_key=True)
        return dict(itertools.islice(tables.items(), _MOST_TABLES))

    def _observer(self, name: str) -> ObserverEntry | None:
        path = (layout.OBSERVERS, name)
        if _TABLE_NAME.fullmatch(name) is None:
            message = "an observer is named by at most 32 of a–z, 0–9 and _"
            self._add(path, message, at_key=True)
        config = self._component(path, "observer", name)
        if config is None:
            return None
        component = self.registry.get("observer", config.kind)
        return ObserverEntry(name=name, config=config, origin=component.origin if component else "")

    def _component(self, path: KeyPath, family: str, default_kind: str | None) -> ComponentConfig | None:
        table = self._table_at(path)
        if table is None:
            return None
        kind = table.get("kind", default_kind)
        if kind is None:
            self._add(path, f"kind is missing: which {family}", self._installed(family), at_key=True)
            return None
        component = self.registry.get(family, kind) if isinstance(kind, str) else None
        if component is None:
            self._refuse_kind(path, family, kind, named="kind" in table)
            return None
        generic = ("kind", *(field.key for field in generic_fields(family)))
        own = {key: value for key, value in table.items() if key not in generic}
        config: ComponentConfig | None = self._read(path, own, component.config_class, component.name, generic)
        return config

    def _table_at(self, path: KeyPath) -> dict[str, Any] | None:
        table: Any = self.table
        for key in path:
            table = table.get(key, {})
        if isinstance(table, dict):
            return table
        name = ".".join(map(str, path))
        self._add(path, f"expected a table [{name}], got {value_words(table)}")
        return None

    def _refuse_kind(self, path: KeyPath, family: str, kind: Any, *, named: bool) -> None:
        if not isinstance(kind, str):
            self._add((*path, "kind"), f"expected the name of a {family} as text, got {value_words(kind)}")
            return
        near = self.registry.closest(family, kind)
        hint = f' Did you mean "{near}"?' if near else ""
        other = [] if named or family not in layout.NAMED_TABLES.values() else [_OTHER_NAME.format(family)]
        notes = (self._installed(family), *other, *(_reason(r) for r in self.registry.reasons(family, kind)))
        self._add(
            (*path, "kind") if named else path,
            f"no {family} of this name.{hint}",
            *notes,
            component=near or "",
            at_key=not named,
        )

    def _installed(self, family: str) -> str:
        names = [
            c.name if c.distribution == OWN_DISTRIBUTION else f"{c.name} ({c.origin})"
            for c in self.registry.family(family).values()
        ]
        return f"installed: {', '.join(names) or 'none'}"

    def _read(
        self, path: KeyPath, table: Any, owner: type[Any], component: str = "", generic: tuple[str, ...] = ()
    ) -> Any:
        reader = TableReader(root=self.table, path=path, component=component, generic_keys=generic)
        instance, problems = reader.read(table, owner)
        self.problems.extend(problems)
        return instance

    def _add(self, path: KeyPath, message: str, *notes: str, component: str = "", at_key: bool = False) -> None:
        self.problems.append(Problem(path=path, message=message, notes=notes, component=component, at_key=at_key))


def _reason(remark: PluginRemark) -> str:
    """Why a component may be missing, in a line."""
    plugin = f"{remark.distribution} {remark.version}".strip()
    if isinstance(remark, BrokenPlugin):
        plugin += " could not be loaded and may offer it:"
    elif isinstance(remark, BlockedPlugin):
        plugin += " may offer it:"
    return f"{plugin} {remark.cause}. Remedy: {remark.remedy}"


def _is_ignored(key: str, value: Any) -> bool:
    return key in IGNORED_KEYS and isinstance(value, dict | list)
