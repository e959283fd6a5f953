"""Plain data written as TOML: what tomllib reads back is equal. Sections for tables, inline tables within arrays.

Knows nothing of recipes. Dates are not written, since no recipe has any.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}
_MUST_BE_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]')


def recipe_to_toml(table: Mapping[str, Any]) -> str:
    """The text of a table of strings, numbers, truths, lists and tables.

    Raises:
        TypeError: a value of another type.
    """
    blocks = ["\n".join(lines) for lines in _sections((), table)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _sections(path: tuple[str, ...], table: Mapping[str, Any], header: str = "") -> Iterator[list[str]]:
    """The lines of this table and of the tables below it: values first, as TOML wants it."""
    values = [f"{toml_key(key)} = {value_to_toml(value)}" for key, value in table.items() if not _has_section(value)]
    sections = {key: value for key, value in table.items() if _has_section(value)}
    if values or header.startswith("[[") or not sections:
        yield [header, *values] if header else values
    for key, value in sections.items():
        below = (*path, key)
        name = ".".join(map(toml_key, below))
        if isinstance(value, Mapping):
            yield from _sections(below, value, f"[{name}]")
        else:
            for item in value:
                yield from _sections(below, item, f"[[{name}]]")


def _has_section(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return _is_list(value) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def toml_key(key: str) -> str:
    """A key, quoted where it has to be."""
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def value_to_toml(value: Any) -> str:
    """A single value, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml_key(key)} = {value_to_toml(entry)}" for key, entry in value.items()) + "}"
    if not _is_list(value):
        raise TypeError(f"a recipe holds no {type(value).__name__}: {value!r}")
    return "[" + ", ".join(map(value_to_toml, value)) + "]"


def _number(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return str(value) if math.isinf(value) else repr(float(value))


def _text(text: str) -> str:
    return '"' + _MUST_BE_ESCAPED.sub(_escaped, text) + '"'


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"
