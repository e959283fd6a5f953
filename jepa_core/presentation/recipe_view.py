"""A resolved recipe on the terminal: every value with its unit and meaning, own values apart from defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.presentation.wrapping import Hanging
from jepa_core.recipes import layout
from jepa_core.recipes.difference import Change
from jepa_core.recipes.engine_tables import ENGINE_TABLES
from jepa_core.recipes.field_descriptions import FieldDescription, describe_fields
from jepa_core.recipes.reading import LoadedRecipe
from jepa_core.recipes.structuring import generic_fields
from jepa_core.recipes.writing import value_to_toml
from jepa_core.registry import Registry
from jepa_core.visible_text import clean


def recipe_view(loaded: LoadedRecipe, registry: Registry) -> RenderableType:
    """The whole recipe; values that are not defaults are bold."""
    recipe = loaded.recipe
    about = f" · {recipe.description}" if recipe.description else ""
    parts: list[RenderableType] = [
        Hanging(Text(clean(f"{recipe.name}{about} · {loaded.path}"), style="bold"), indent=2)
    ]
    for title, summary, values, fields in _sections(loaded, registry):
        head = Text.assemble((clean(f"[{title}]"), "cyan"), f"  {clean(summary)}")
        parts += [Text(), Hanging(head, indent=2)]
        parts.append(_fields_table(values, fields))
    parts += [Text(), *_rules(loaded.table["watch"])]
    return Group(*parts)


def recipes_list(found: Mapping[str, tuple[Path, str]]) -> RenderableType:
    """Names of recipes with what each is, of file and description, and what to type next."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold", style="bold")
    table.add_column(overflow="fold")
    for name, (_, text) in found.items():
        table.add_row(clean(name), clean(text))
    more = "One of them: jepa run NAME, or jepa recipe show NAME. To edit one: jepa recipe new FILE --from NAME"
    return Group(table, Text(), Hanging(Text(more), indent=2))


def differences_view(changes: tuple[Change, ...], left: str, right: str) -> RenderableType:
    """Changed keys with both values."""
    if not changes:
        return Text(clean(f"{left} and {right} are the same recipe."))
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    for title in ("key", left, right):
        table.add_column(Text(clean(title)), overflow="fold")
    for change in changes:
        table.add_row(clean(change.key), *(_value_text(value) for value in (change.left, change.right)))
    return table


def _sections(
    loaded: LoadedRecipe, registry: Registry
) -> Iterator[tuple[str, str, dict[str, Any], tuple[FieldDescription, ...]]]:
    """Title, summary, values and fields of every table."""
    table = loaded.table
    for name, owner in layout.COMPONENT_TABLES.items():
        yield name, *_component_section(registry, owner.family, table[name])
    for group, family in layout.NAMED_TABLES.items():
        for name, values in table.get(group, {}).items():
            if "kind" in values:
                yield f"{group}.{name}", *_component_section(registry, family, values)
    for name, engine_class in ENGINE_TABLES.items():
        if name != "watch":
            yield name, (engine_class.__doc__ or "").rstrip("."), table[name], describe_fields(engine_class)


def _component_section(
    registry: Registry, family: str, values: dict[str, Any]
) -> tuple[str, dict[str, Any], tuple[FieldDescription, ...]]:
    """Summary, values and fields of a component's table."""
    component = registry.get(family, values["kind"])
    assert component is not None, "a loaded recipe names installed components only"
    fields = (*generic_fields(family), *describe_fields(component.config_class))
    return f"{component.name}: {component.summary}", values, fields


def _fields_table(values: dict[str, Any], fields: tuple[FieldDescription, ...]) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, show_header=False)
    table.add_column(min_width=18)
    table.add_column(min_width=12, overflow="fold")
    table.add_column(style="dim")
    for field in fields:
        value = values.get(field.key)
        style = "" if value == field.default else "bold"
        meaning = f"{field.meaning} ({field.unit})" if field.unit else field.meaning
        table.add_row(Text(f"  {clean(field.key)}"), Text(_value_text(value), style=style), Text(clean(meaning)))
    return table


def _rules(watch: dict[str, Any]) -> Iterator[RenderableType]:
    yield Text("[watch]", style="cyan")
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, show_header=False)
    for key in ("baseline", "judge", "early_stop"):
        if key in watch:
            table.add_row(f"  {key}", Text(_value_text(watch[key])), "")
    for kind in layout.RULE_LISTS:
        for rule in watch[kind]:
            table.add_row(f"  {kind}", Text(clean(rule["id"])), Text(clean(rule["when"])))
    yield table


def _value_text(value: Any) -> str:
    return "–" if value is None else clean(value_to_toml(value))
