"""How a recipe names a component: the lines to put into one, which `jepa recipe check` accepts where the rest fits."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import attrs

from jepa_core.recipes.field_descriptions import describe_fields
from jepa_core.recipes.strict_converter import key_of
from jepa_core.recipes.writing import value_to_toml
from jepa_core.registry import Component
from jepa_core.settings import setting_of

_NAMED_TABLES = {"augmentation": "augmentation", "loss": "losses", "null": "nulls", "observer": "observers"}
"""Families of which a recipe has several, each in a table of its own name."""

_ABOUT = {
    "null": "it is on by itself; this switches it off",
    "scenario": "it is on by itself; this switches it off",
}
"""By family, what the lines do where that is not plain."""
_CHANGES = "it is on by itself; this is its own value, to be changed; {name} = false switches it off"


def snippet(component: Component) -> tuple[str, ...]:
    """The lines of TOML."""
    family, name = component.family, component.name
    required = [f"{key} = {value_to_toml(value)}" for key, value in _required(component.config_class)]
    if family == "scenario":
        return ("[watch.scenarios]", f"{name} = {_scenario(component)}")
    if family not in _NAMED_TABLES:
        table = "data" if family == "dataset" else family
        return (f"[{table}]", f"kind = {value_to_toml(name)}", *required)
    first = {"loss": ["weight = 1.0"], "augmentation": ["enabled = true"], "null": ["enabled = false"]}.get(family, [])
    return (f"[{_NAMED_TABLES[family]}.{name}]", *first, *required)


def about_snippet(component: Component) -> str:
    """What the lines do, where that is not plain; else empty."""
    if component.family == "scenario" and _scenario(component) != "false":
        return _CHANGES.format(name=component.name)
    return _ABOUT.get(component.family, "")


def _scenario(component: Component) -> str:
    for field in describe_fields(component.config_class):
        if field.default is not None:
            return f"{{ {field.key} = {value_to_toml(field.default)} }}"
    return "false"


def _required(owner: type[Any]) -> list[tuple[str, Any]]:
    """Fields that have to be given, each with a value that it may have."""
    fields = attrs.fields(attrs.resolve_types(owner))
    return [
        (key_of(owner, field.name), _example(field))
        for field in fields
        if field.init and field.default is attrs.NOTHING
    ]


def _example(field: attrs.Attribute[Any]) -> Any:
    described, kind = setting_of(field), field.type
    if described.choices:
        return described.choices[0]
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if kind is bool:
        return True
    if kind in (int, float):
        candidates = (1, described.at_least, described.at_most, (described.above or 0) + 1, (described.below or 1) / 2)
        return next((value for value in candidates if value is not None and described.allows(value)), 1)
    return "path/to/it" if "path" in field.name or "file" in field.name else "text"
