"""How two resolved recipes differ, key by key. Knows only plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from jepa_core.recipes.recorded_extras import IGNORED_KEYS
from jepa_core.recipes.writing import toml_key

_VALUE = ""
"""In place of a name, where a key has a value on some side; as a name it would stand in quotes."""


@attrs.frozen
class Change:
    """One key whose value differs."""

    key: str
    """Dotted; rules are called by their id, as in `watch.abort[collapse].when`."""
    left: Any
    """None when it is not there; TOML has no value of that name."""
    right: Any


def recipe_difference(left: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every key whose value differs, in the order of `left`; what only `right` has at the end of the table that it is
    in, so that each table is in one place."""
    left_values, right_values = (dict(_leaves((), _read(side))) for side in (left, right))
    tables: dict[str, Any] = {}
    for path in (*left_values, *right_values):
        node = tables
        for name in (*path, _VALUE):
            node = node.setdefault(name, {})
    changes = (Change(_dotted(path), left_values.get(path), right_values.get(path)) for path in _paths(tables))
    return tuple(change for change in changes if not _equal(change.left, change.right))


def _paths(tables: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, node in tables.items():
        if name == _VALUE:
            yield ()
        else:
            yield from ((name, *rest) for rest in _paths(node))


def _dotted(path: tuple[str, ...]) -> str:
    """Names in the order of a key; those of rules, in brackets, follow their list."""
    return "".join(name if not place or name.startswith("[") else f".{name}" for place, name in enumerate(path))


def _read(table: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is only written into a resolved recipe."""
    return {key: value for key, value in table.items() if key not in IGNORED_KEYS}


def _leaves(path: tuple[str, ...], node: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, Mapping) and node:
        for name, entry in node.items():
            yield from _leaves((*path, toml_key(name)), entry)
    elif _has_ids(node):
        for entry in node:
            yield from _leaves((*path, f"[{entry['id']}]"), {name: v for name, v in entry.items() if name != "id"})
    elif not (isinstance(node, Mapping | list) and not node):
        # What is empty on one side is told by what the other side has.
        yield path, node


def _has_ids(node: Any) -> bool:
    if not isinstance(node, list) or not all(isinstance(entry, Mapping) and "id" in entry for entry in node):
        return False
    names = [entry["id"] for entry in node]
    return bool(names) and len(set(names)) == len(names)


def _equal(left: Any, right: Any) -> bool:
    """Equal, and of one type: 1 and true are different values."""
    return type(left) is type(right) and bool(left == right)
