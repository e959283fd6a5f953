"""How two resolved recipes differ, key by key. Knows only plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from jepa_core.recipes.recorded_extras import IGNORED_KEYS
from jepa_core.recipes.writing import toml_key


@attrs.frozen
class Change:
    """One key whose value differs."""

    key: str
    """Dotted; rules are called by their id, as in `watch.abort[collapse].when`."""
    left: Any
    """None when it is not there; TOML has no value of that name."""
    right: Any


def recipe_difference(left: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every key whose value differs, in the order of `left`, then what only `right` has."""
    left_values, right_values = (dict(_leaves("", _read(side))) for side in (left, right))
    keys = [*left_values, *(key for key in right_values if key not in left_values)]
    changes = (Change(key, left_values.get(key), right_values.get(key)) for key in keys)
    return tuple(change for change in changes if not _equal(change.left, change.right))


def _read(table: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is only written into a resolved recipe."""
    return {key: value for key, value in table.items() if key not in IGNORED_KEYS}


def _leaves(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for name, entry in node.items():
            yield from _leaves(f"{key}.{toml_key(name)}" if key else toml_key(name), entry)
    elif _has_ids(node):
        for entry in node:
            yield from _leaves(f"{key}[{entry['id']}]", {name: v for name, v in entry.items() if name != "id"})
    elif not (isinstance(node, Mapping | list) and not node):
        # What is empty on one side is told by what the other side has.
        yield key, node


def _has_ids(node: Any) -> bool:
    if not isinstance(node, list) or not all(isinstance(entry, Mapping) and "id" in entry for entry in node):
        return False
    names = [entry["id"] for entry in node]
    return bool(names) and len(set(names)) == len(names)


def _equal(left: Any, right: Any) -> bool:
    """Equal, and of one type: 1 and true are different values."""
    return type(left) is type(right) and bool(left == right)
