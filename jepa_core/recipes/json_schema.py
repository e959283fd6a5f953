"""The JSON Schema of recipes (draft 2020-12), from the registry: for completion and checks in editors.

It describes one file, which may extend another. So what a file leaves out is no fault here, only in `reading`.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_core.recipes import layout
from jepa_core.recipes.engine_tables import ENGINE_TABLES
from jepa_core.recipes.expectations import is_mapping, is_sequence, is_union, without_none
from jepa_core.recipes.field_descriptions import FieldDescription, describe_fields
from jepa_core.recipes.structuring import GENERIC_FIELDS, NullSwitch
from jepa_core.registry import Component, Registry
from jepa_core.settings import Setting, setting_of

Schema = dict[str, Any]

_SIMPLE = {int: "integer", float: "number", str: "string", bool: "boolean", Path: "string"}
_BOUNDS = {
    "at_least": "minimum",
    "above": "exclusiveMinimum",
    "at_most": "maximum",
    "below": "exclusiveMaximum",
}
NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
TABLE_NAME_PATTERN = "^[a-z][a-z0-9_]{0,31}$"


def recipe_schema(registry: Registry) -> Schema:
    """The schema of a recipe made of the registry's components."""
    families = {name: _family(registry, table) for name, table in layout.COMPONENT_TABLES.items()}
    engine = {name: _object(owner) for name, owner in ENGINE_TABLES.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Recipe of jepa",
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": ["extends"]}, {"required": ["data", "encoder", layout.LOSSES]}],
        "properties": {
            "extends": {"type": "string", "description": "another recipe, below this one's folder, to start from"},
            "name": {"type": "string", "pattern": NAME_PATTERN, "description": "runs are named so; the file's name"},
            "description": {"type": "string", "description": "a few words about the recipe"},
            **families,
            layout.AUGMENTATION: {
                **_augmentation(registry),
                "description": "changes of every training batch, by name, in the order in which they are listed",
            },
            layout.LOSSES: {
                **_named(registry, "loss", reserved=layout.RESERVED_LOSS_NAMES),
                "description": "the terms of the objective, by name",
                "minProperties": 1,
            },
            layout.NULLS: {
                **_nulls(registry),
                "description": "methods that learn nothing, by name; all that fit the data are on unless switched off",
            },
            layout.OBSERVERS: {
                **_named(registry, "observer"),
                "description": "what gets rows and events while the run goes on, by name",
            },
            **engine,
            "metrics": {"type": "array", "description": "written into resolved recipes; not read"},
            "resolved": {"type": "object", "description": "written into resolved recipes; not read"},
        },
        "$defs": {f"{c.family}.{c.name}": _component(c) for _, c in sorted(registry.components.items())},
    }


def _family(registry: Registry, table: layout.ComponentTable) -> Schema:
    """Any component of the family; one that names its kind is held against that kind's fields only."""
    return {"anyOf": [_reference(component) for component in registry.family(table.family).values()]}


def _named(registry: Registry, family: str, *, reserved: Iterable[str] = ()) -> Schema:
    """Tables by name, each any component of the family: the one of its own name unless it says otherwise."""
    components = registry.family(family)
    any_component = [_reference(component) for component in components.values()]
    renamed = {
        name: [{**r, "required": ["kind"]} for r in any_component if r != _reference(c)]
        for name, c in components.items()
    }
    names: Schema = {"pattern": TABLE_NAME_PATTERN}
    return {
        "type": "object",
        "propertyNames": {**names, "not": {"enum": sorted(reserved)}} if reserved else names,
        "properties": {name: {"anyOf": [_reference(c), *renamed[name]]} for name, c in components.items()},
        "additionalProperties": {"anyOf": any_component} if any_component else False,
    }


def _augmentation(registry: Registry) -> Schema:
    """Tables by name; true and false switch one on and off, and a number is its share."""
    schema = _named(registry, "augmentation")
    short = {"type": ["boolean", "number"]}
    return {
        **schema,
        "properties": {name: {"anyOf": [short, *s["anyOf"]]} for name, s in schema["properties"].items()},
    }


def _nulls(registry: Registry) -> Schema:
    """Tables by name, the engine's own among them."""
    schema = _named(registry, "null")
    return {**schema, "properties": {layout.UNTRAINED: _object(NullSwitch), **schema["properties"]}}


def _reference(component: Component) -> Schema:
    return {"$ref": f"#/$defs/{component.family}.{component.name}"}


def _component(component: Component) -> Schema:
    owner = GENERIC_FIELDS.get(component.family)
    generic = _object(owner)["properties"] if owner else {}
    schema = _object(component.config_class)
    kind = {"const": component.name, "description": component.summary}
    return {**schema, "properties": {"kind": kind, **generic, **schema["properties"]}}


def _object(owner: type[Any], *, complete: bool = False) -> Schema:
    """A table; with `complete`, one that no other file can add to."""
    descriptions = describe_fields(owner)
    attributes = {a.name: a for a in attrs.fields(owner)}
    schema: Schema = {
        "type": "object",
        "description": (owner.__doc__ or "").strip().partition("\n")[0],
        "additionalProperties": False,
        "properties": {
            d.key: _field(attribute, d)
            for d, attribute in zip(descriptions, (a for a in attributes.values() if a.init), strict=True)
        },
    }
    if complete:
        schema["required"] = [d.key for d in descriptions if d.required]
    return schema


def _field(attribute: attrs.Attribute[Any], description: FieldDescription) -> Schema:
    schema = _of_type(attribute.type, setting_of(attribute))
    unit = f" ({description.unit})" if description.unit else ""
    if description.meaning:
        schema["description"] = description.meaning + unit
    if description.default is not None:
        schema["default"] = description.default
    return schema


def _of_type(kind: Any, setting: Setting) -> Schema:
    kind = without_none(kind)
    arguments = typing.get_args(kind)
    choices = setting.choices or (arguments if typing.get_origin(kind) is typing.Literal else ())
    if choices:
        return {"enum": list(choices)}
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind], **(_bounds(setting) if kind in {int, float} else {})}
    if is_union(kind):
        return {"anyOf": [_of_type(member, setting) for member in arguments]}
    if is_sequence(kind):
        return _array(kind, setting)
    if is_mapping(kind):
        return {"type": "object", "additionalProperties": _of_type(arguments[1] if arguments else Any, setting)}
    return _object(kind) if attrs.has(kind) else {}


def _array(kind: Any, setting: Setting) -> Schema:
    arguments = typing.get_args(kind)
    if (typing.get_origin(kind) or kind) is tuple and arguments and Ellipsis not in arguments:
        items = [_of_type(argument, setting) for argument in arguments]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    item = arguments[0] if arguments else Any
    return {"type": "array", "items": _object(item, complete=True) if attrs.has(item) else _of_type(item, setting)}


def _bounds(setting: Setting) -> Mapping[str, float]:
    limits = {keyword: getattr(setting, name) for name, keyword in _BOUNDS.items()}
    return {keyword: limit for keyword, limit in limits.items() if limit is not None}
