"""Where keys and values stand in the text of a recipe, by tree-sitter. Used on the error path only.

Positions are found for any text, faulty ones as far as they can be read. What the values mean is tomllib's business.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator

import attrs
import tree_sitter
import tree_sitter_toml

from jepa_core.recipes.faults import Excerpt
from jepa_core.recipes.key_path import KeyPath

_TOMLLIB_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@attrs.frozen
class _Place:
    key: tree_sitter.Node
    value: tree_sitter.Node


class Positions:
    """Keys and values of one text."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
        self._root = parser.parse(text.encode()).root_node
        self._places: dict[KeyPath, _Place] = {}
        self._array_lengths: dict[KeyPath, int] = {}

    def find(self, path: KeyPath, *, at_key: bool, span: tuple[int, int] | None = None) -> Excerpt | None:
        """The line of the key or of its value; of the nearest table around it when the key is not there."""
        if not self._places:
            self._read_document(self._root)
        for length in range(len(path), 0, -1):
            place = self._places.get(path[:length])
            if place is not None:
                exact = length == len(path)
                return self._excerpt(place.key if at_key or not exact else place.value, span if exact else None)
        return None

    def first_error(self) -> Excerpt | None:
        """The first place that is not TOML, when there is one."""
        node = next(_errors(self._root), None)
        return None if node is None else self._excerpt(node, None)

    def _excerpt(self, node: tree_sitter.Node, span: tuple[int, int] | None) -> Excerpt:
        row, start = node.start_point
        end_row, end = node.end_point
        text = self._lines[row].removesuffix("\r")
        column = len(self._lines[row].encode()[:start].decode())
        until = len(text) if end_row != row else len(self._lines[row].encode()[:end].decode())
        if span is not None and end_row == row and "\\" not in text[column:until]:
            # One character for the opening quote; an escape would shift what follows it.
            column, until = column + 1 + span[0], min(until - 1, column + 1 + max(span[1], span[0] + 1))
        return Excerpt(line=row + 1, column=column + 1, width=max(1, until - column), text=text)

    def _read_document(self, document: tree_sitter.Node) -> None:
        for child in document.named_children:
            if child.type == "pair":
                self._read_pair(child, ())
            elif child.type in {"table", "table_array_element"}:
                self._read_table(child)

    def _read_table(self, table: tree_sitter.Node) -> None:
        keys = [child for child in table.named_children if child.type.endswith("_key")]
        if not keys:
            return
        path = self._with_indices(_key_path(keys[0]), table)
        self._places.setdefault(path, _Place(keys[0], keys[0]))
        for pair in table.named_children:
            if pair.type == "pair":
                self._read_pair(pair, path)

    def _with_indices(self, path: KeyPath, table: tree_sitter.Node) -> KeyPath:
        """The path with the index of the newest element of every array of tables on it."""
        full: KeyPath = ()
        for position, key in enumerate(path):
            full += (key,)
            if table.type == "table_array_element" and position == len(path) - 1:
                self._array_lengths[full] = self._array_lengths.get(full, 0) + 1
            if full in self._array_lengths:
                full += (self._array_lengths[full] - 1,)
        return full

    def _read_pair(self, pair: tree_sitter.Node, prefix: KeyPath) -> None:
        if pair.has_error:
            return
        key, value = pair.named_children[0], pair.named_children[1]
        path = prefix + _key_path(key)
        for length in range(len(prefix) + 1, len(path)):
            self._places.setdefault(path[:length], _Place(key, key))
        self._read_value(path, key, value)

    def _read_value(self, path: KeyPath, key: tree_sitter.Node, value: tree_sitter.Node) -> None:
        self._places[path] = _Place(key, value)
        if value.type == "inline_table":
            for pair in value.named_children:
                if pair.type == "pair":
                    self._read_pair(pair, path)
        elif value.type == "array":
            items = [child for child in value.named_children if child.type != "comment"]
            for index, item in enumerate(items):
                self._read_value((*path, index), item, item)


@functools.lru_cache(maxsize=4)
def positions_of(text: str) -> Positions:
    """Keys and values of a text, found once however many faults it has."""
    return Positions(text)


def syntax_fault(text: str, error: ValueError) -> tuple[str, Excerpt | None]:
    """What tomllib says about a text that is not TOML, and the line it says it about."""
    message = str(error)
    found = _TOMLLIB_PLACE.search(message)
    if found is None or found[1] is None:
        # tomllib only says "end of document" when something was never closed; where it began says more.
        excerpt = Positions(text).first_error() or excerpt_at(text, text.count("\n") + 1, 1)
    else:
        excerpt = excerpt_at(text, int(found[1]), int(found[2]))
    return _TOMLLIB_PLACE.sub("", message), excerpt


def excerpt_at(text: str, line: int, column: int) -> Excerpt:
    """One character of a text, both counted from 1."""
    shown = text.split("\n")[line - 1].removesuffix("\r")
    return Excerpt(line=line, column=column, width=1, text=shown)


def _key_path(key: tree_sitter.Node) -> tuple[str, ...]:
    """The keys of a bare, quoted or dotted key."""
    text = (key.text or b"").decode()
    node, path = tomllib.loads(f"{text} = 0"), []
    while isinstance(node, dict):
        name, node = next(iter(node.items()))
        path.append(name)
    return tuple(path)


def _errors(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from _errors(child)
