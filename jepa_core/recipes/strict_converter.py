"""cattrs without its lenience: a value has the field's type or is refused, and every key is known.

cattrs as it comes turns "3" into 3, 1.7 into 1 and "false" into True. Only whole numbers for number fields are
converted here. Ranges are checked field by field, so that all of a table's faults are found and not only the first.
"""

from __future__ import annotations

import functools
import math
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import cattrs
from cattrs.errors import IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from jepa_core.recipes.expectations import is_mapping, is_sequence, is_union
from jepa_core.settings import setting_of
from jepa_core.watch.rules import Abort, Rollback, Scenario

LARGEST_INTEGER = 2**63 - 1
"""Whole numbers of a recipe, without their sign, take 63 bits."""

_KEYS = {(alarm, "evaluations"): "for" for alarm in (Abort, Rollback, Scenario)}
"""Fields that are called differently in a recipe, since Python reserves the word."""


class RefusedError(ValueError):
    """A value does not have its field's type, or lies out of its range."""

    def __init__(self, value: Any) -> None:
        self.value = value
        super().__init__(f"refused: {value!r}")


def key_of(owner: type[Any], field: str) -> str:
    """What a field is called in a recipe."""
    return _KEYS.get((owner, field), field)


@functools.cache
def strict_converter() -> cattrs.Converter:
    """The converter between plain TOML data and attrs classes."""
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, structure in _LEAVES.items():
        converter.register_structure_hook(kind, structure)
    factories: list[tuple[Callable[[Any], bool], Callable[..., Any]]] = [
        (attrs.has, _class_hook),
        (is_sequence, _sequence_hook),
        (is_mapping, _mapping_hook),
        (is_union, _union_hook),
        (_is_literal, _literal_hook),
    ]
    for predicate, factory in factories:
        converter.register_structure_hook_factory(predicate, factory)
    converter.register_unstructure_hook_factory(attrs.has, _unstructure_hook)
    converter.register_unstructure_hook_factory(is_sequence, _unstructure_sequence_hook)
    converter.register_unstructure_hook(Path, str)
    return converter


def _integer(value: Any, _: Any) -> int:
    if type(value) is not int or abs(value) > LARGEST_INTEGER:
        raise RefusedError(value)
    return value


def _number(value: Any, _: Any) -> float:
    if type(value) is int:
        return float(_integer(value, int))
    if type(value) is not float or not math.isfinite(value):
        raise RefusedError(value)
    return value


def _text(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise RefusedError(value)
    return value


def _truth(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        raise RefusedError(value)
    return value


def _path(value: Any, _: Any) -> Path:
    return Path(_text(value, str))


def _none(value: Any, _: Any) -> None:
    if value is not None:
        raise RefusedError(value)


_LEAVES: dict[Any, Callable[[Any, Any], Any]] = {
    int: _integer,
    float: _number,
    str: _text,
    bool: _truth,
    Path: _path,
    type(None): _none,
}


def _class_hook(owner: type[Any], converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    overrides: dict[str, Any] = {
        a.name: override(rename=key_of(owner, a.name), struct_hook=_field_hook(a, converter))
        for a in attrs.fields(attrs.resolve_types(owner))
        if a.init
    }
    structure = make_dict_structure_fn(
        owner, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, **overrides
    )

    def structure_table(value: Any, kind: Any) -> Any:
        if not isinstance(value, dict):
            raise RefusedError(value)
        return structure(value, kind)

    return structure_table


def _field_hook(attribute: attrs.Attribute[Any], converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    description = setting_of(attribute)

    def structure_field(value: Any, kind: Any) -> Any:
        structured = converter.structure(value, kind)
        if not description.allows(structured):
            raise RefusedError(value)
        return structured

    return structure_field


def _sequence_hook(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    arguments = typing.get_args(kind)
    make: Callable[[Any], Any] = tuple if (typing.get_origin(kind) or kind) is tuple else list
    fixed = make is tuple and Ellipsis not in arguments and bool(arguments)

    def structure_items(value: Any, _: Any) -> Any:
        if not isinstance(value, list) or (fixed and len(value) != len(arguments)):
            raise RefusedError(value)
        items, errors = [], []
        for index, item in enumerate(value):
            item_kind = arguments[index] if fixed else arguments[0] if arguments else Any
            try:
                items.append(converter.structure(item, item_kind))
            except Exception as error:  # cattrs collects whatever a class raises
                error.add_note(IterableValidationNote(f"item {index}", index, item_kind))
                errors.append(error)
        if errors:
            raise IterableValidationError("list", errors, kind)
        return make(items)

    return structure_items


def _mapping_hook(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    _, value_kind = typing.get_args(kind) or (str, Any)

    def structure_entries(value: Any, _: Any) -> Any:
        if not isinstance(value, dict):
            raise RefusedError(value)
        entries, errors = {}, []
        for key, item in value.items():
            try:
                entries[key] = converter.structure(item, value_kind)
            except Exception as error:  # cattrs collects whatever a class raises
                error.add_note(IterableValidationNote(f"key {key}", key, value_kind))
                errors.append(error)
        if errors:
            raise IterableValidationError("table", errors, kind)
        return entries

    return structure_entries


def _union_hook(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    members = typing.get_args(kind)
    real = [member for member in members if member is not type(None)]

    def structure_member(value: Any, _: Any) -> Any:
        if len(real) == 1:
            return converter.structure(value, real[0])
        for member in members:
            try:
                return converter.structure(value, member)
            except (RefusedError, cattrs.BaseValidationError):
                continue
        raise RefusedError(value)

    return structure_member


def _is_literal(kind: Any) -> bool:
    return typing.get_origin(kind) is typing.Literal


def _literal_hook(kind: Any, _: cattrs.Converter) -> Callable[[Any, Any], Any]:
    choices = typing.get_args(kind)

    def structure_choice(value: Any, _: Any) -> Any:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise RefusedError(value)
        return value

    return structure_choice


def _unstructure_hook(owner: type[Any], converter: cattrs.Converter) -> Callable[[Any], dict[str, Any]]:
    overrides: dict[str, Any] = {
        a.name: override(rename=key_of(owner, a.name)) for a in attrs.fields(attrs.resolve_types(owner))
    }
    unstructure = make_dict_unstructure_fn(owner, converter, **overrides)
    empty = {key_of(owner, a.name) for a in attrs.fields(owner) if _is_empty_by_default(a)}

    def unstructure_table(value: Any) -> dict[str, Any]:
        entries = unstructure(value).items()
        return {key: entry for key, entry in entries if entry is not None and (entry or key not in empty)}

    return unstructure_table


def _is_empty_by_default(attribute: attrs.Attribute[Any]) -> bool:
    """Whether the default is an empty text or table: written down it would say nothing."""
    return attribute.default == "" or getattr(attribute.default, "factory", None) is dict


def _unstructure_sequence_hook(_: Any, converter: cattrs.Converter) -> Callable[[Any], list[Any]]:
    return lambda values: [converter.unstructure(value) for value in values]
