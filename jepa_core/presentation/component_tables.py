"""Installed components as tables: the list of all, and one with its fields and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.discovery.remarks import BlockedPlugin, BrokenPlugin, ContestedComponent, PluginRemark, SlowPlugin
from jepa_core.metrics import Metric
from jepa_core.presentation.wrapping import Hanging
from jepa_core.recipes.field_descriptions import FieldDescription, describe_fields
from jepa_core.recipes.snippet import about_snippet, snippet
from jepa_core.recipes.structuring import generic_fields
from jepa_core.recipes.writing import value_to_toml
from jepa_core.registry import Component
from jepa_core.visible_text import clean

_REMARKS: dict[type[PluginRemark], tuple[str, str]] = {
    BrokenPlugin: ("broken", "red"),
    ContestedComponent: ("contested", "yellow"),
    SlowPlugin: ("slow", "yellow"),
    BlockedPlugin: ("blocked", "dim"),
}


def components_table(components: Sequence[Component], remarks: Sequence[PluginRemark]) -> RenderableType:
    """One line a component, the family on its first line only; below it what is not right, with cause and remedy."""
    table = _table("family", "name", "what", "from")
    family = ""
    for component in components:
        shown_family = "" if component.family == family else component.family
        family = component.family
        table.add_row(shown_family, *map(clean, (component.name, component.summary, component.origin)))
    for remark in remarks:
        label, style = _REMARKS[type(remark)]
        name = f"{remark.distribution} {remark.version}".strip()
        table.add_row(Text(label, style=style), *map(clean, (name, remark.cause, remark.remedy)))
    return table


def component_view(component: Component) -> RenderableType:
    """Fields with defaults, units, ranges and meaning; metrics; how a recipe names it."""
    head = f"{component.family} {component.name} · {component.summary} · {component.origin}"
    parts: list[RenderableType] = [Hanging(Text(clean(head), style="bold"), indent=2), Text()]
    fields = (*describe_fields(component.config_class), *generic_fields(component.family))
    parts.append(_fields_table(fields) if fields else Text("It has no fields."))
    if component.config_class.metrics:
        parts += [Text(), _metrics_table(component.config_class.metrics)]
    parts += [Text(), _in_a_recipe(component), Text()]
    return Group(*parts)


def _fields_table(fields: Iterable[FieldDescription]) -> Table:
    table = _table("field", "default", "unit", "range", "meaning")
    for field in fields:
        limits = field.range or field.type
        table.add_row(*map(clean, (field.key, _default(field), field.unit, limits, field.meaning)))
    return table


def _metrics_table(metrics: Iterable[Metric]) -> Table:
    table = _table("metric", "unit", "better", "meaning")
    for metric in metrics:
        better = "" if metric.better == "neither" else metric.better
        table.add_row(*map(clean, (metric.name, metric.unit, better, metric.doc)))
    return table


def _in_a_recipe(component: Component) -> Text:
    about = about_snippet(component)
    text = Text(f"in a recipe{f' ({clean(about, 200)})' if about else ''}:", style="dim")
    for line in snippet(component):
        text.append(f"\n  {clean(line)}", style="none")
    return text


def _default(field: FieldDescription) -> str:
    if field.required:
        return "required"
    return "–" if field.default is None else _plain(field.default)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and value else value_to_toml(value)


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table
