"""Types and values in words, for messages: "a whole number ≥ 1", "the text "3""."""

from __future__ import annotations

import datetime
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from jepa_core.settings import Setting

LONGEST_VALUE = 60

_WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "true or false"),
    Path: ("a path as text", "paths as text"),
}


def expected(kind: Any, setting: Setting) -> str:
    """What a field takes, with its range."""
    limits = setting.range_text()
    if all(isinstance(choice, str) for choice in setting.choices) and setting.choices:
        return limits
    separator = ", " if setting.choices else " "
    return f"{_without_choices(kind)}{separator}{limits}" if limits else type_words(kind)


def type_words(kind: Any, *, plural: bool = False) -> str:
    """A type as TOML knows it."""
    kind = without_none(kind)
    if kind in _WORDS:
        return _WORDS[kind][plural]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return _literal_words(arguments)
    if is_union(kind):
        return " or ".join(type_words(member, plural=plural) for member in arguments)
    if is_sequence(kind):
        return ("lists" if plural else "a list") + _items_words(origin, arguments)
    if attrs.has(kind) or is_mapping(kind):
        return "tables" if plural else "a table"
    return "values" if plural else "a value"


def value_words(value: Any) -> str:
    """A value of TOML, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'the text "{_shortened(value)}"'
    if isinstance(value, int | float):
        return f"the number {_shortened(repr(value))}"
    if isinstance(value, datetime.date | datetime.time):
        return f"the date or time {value}"
    return "a table" if isinstance(value, dict) else f"the list {_shortened(repr(value))}"


def as_text(value: Any) -> str:
    """The text that may have been meant by a value of another kind, such as `nan`, `true` or `2026`; else empty."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _shortened(repr(value))
    return str(value) if isinstance(value, datetime.date | datetime.time) else ""


def is_union(kind: Any) -> bool:
    """Whether it is `A | B`."""
    return typing.get_origin(kind) in {typing.Union, types.UnionType}


def is_sequence(kind: Any) -> bool:
    """Whether it is a tuple or a list, with or without the type of its items."""
    origin = typing.get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, Sequence) and not issubclass(origin, str | bytes)


def is_mapping(kind: Any) -> bool:
    """Whether it is a mapping, with or without types."""
    origin = typing.get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, Mapping)


def without_none(kind: Any) -> Any:
    """`X` for `X | None`; anything else unchanged."""
    members = typing.get_args(kind) if is_union(kind) else ()
    real = [member for member in members if member is not type(None)]
    if len(real) == len(members):
        return kind
    return real[0] if len(real) == 1 else typing.Union[tuple(real)]  # noqa: UP007  # the members are data here


def _literal_words(choices: tuple[Any, ...]) -> str:
    said = (str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in choices)
    words = "one of " + ", ".join(said)
    kinds = {type(choice) for choice in choices}
    return words if str in kinds or len(kinds) > 1 else f"{_WORDS[kinds.pop()][0]}, {words}"


def _without_choices(kind: Any) -> str:
    """The type in words; that of the choices for a literal."""
    kind = without_none(kind)
    return type_words(type(typing.get_args(kind)[0]) if typing.get_origin(kind) is typing.Literal else kind)


def _items_words(origin: Any, arguments: tuple[Any, ...]) -> str:
    items = [argument for argument in arguments if argument is not Ellipsis]
    if not items:
        return ""
    if origin is tuple and Ellipsis not in arguments:
        return f" of {len(items)}: " + ", ".join(type_words(item) for item in items)
    return f" of {type_words(items[0], plural=True)}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
