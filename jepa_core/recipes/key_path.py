"""Paths of keys within a recipe, as data and in words. Knows nothing of files or of what the keys mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys of tables and indices of arrays, from the top."""


def dotted(path: KeyPath, table: Mapping[str, Any]) -> str:
    """The path in words, such as `train.epochs` or `watch.abort[collapse].when`: rules are called by their id."""
    words, node = "", table
    for key in path:
        node = _step(node, key)
        if isinstance(key, int):
            words += f"[{_rule_id(node, key)}]"
        else:
            words += ("." if words else "") + key
    return words


def _step(node: Any, key: str | int) -> Any:
    if isinstance(key, str):
        return node.get(key) if isinstance(node, Mapping) else None
    return node[key] if isinstance(node, list) and key < len(node) else None


def _rule_id(node: Any, index: int) -> str:
    name = node.get("id") if isinstance(node, Mapping) else None
    return name if isinstance(name, str) else str(index)
