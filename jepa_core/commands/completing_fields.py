"""Keys and values of a recipe for the command line's completion, by the recipes' schema and by plugins' source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jepa_core.commands.completing_plugins import components_of_plugins
from jepa_core.recipes.layers import shipped_recipes

Node = Mapping[str, Any]
"""A part of the schema."""

_TABLES = {"dataset": "data", "loss": "losses", "null": "nulls", "observer": "observers"}
"""Family → its table in a recipe, where that is called otherwise."""


def keys_below(path: str, kinds: Mapping[str, str], plugins: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Dotted keys of a table, and what each means: one that has more below it ends in a dot, another in =.

    Args:
        path: of the table; empty for the recipe itself.
        kinds: table → the kind of its component, where it is known.
        plugins: files of plugins that the command line names.
    """
    found: dict[str, str] = {}
    schema = _schema(plugins)
    for table in _at(schema, path, kinds):
        for name, field in table.get("properties", {}).items():
            key = f"{path}.{name}" if path else name
            has_more = any("properties" in node for node in _variants(schema, field))
            told = "" if "const" in field else field.get("description", "")
            found.setdefault(key + ("." if has_more else "="), told)
    return list(found.items())


def values_of(key: str, kinds: Mapping[str, str], plugins: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """The values that a key may have, where they can be listed, and what each is."""
    table, _, name = key.rpartition(".")
    found: dict[str, str] = {}
    schema = _schema(plugins)
    for node in _at(schema, table, {} if name == "kind" else kinds):
        for field in _variants(schema, node.get("properties", {}).get(name, {})):
            told = field.get("description", "")
            if "const" in field:
                found.setdefault(str(field["const"]), told)
            choices = (True, False) if field.get("type") == "boolean" else field.get("enum", ())
            for choice in choices:
                found.setdefault(json.dumps(choice).strip('"'), "")
    return list(found.items())


def components(plugins: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Name of each component, and its family."""
    parts = (key.partition(".") for key in _schema(plugins)["$defs"])
    return [(name, family) for family, _, name in parts]


@cache
def _schema(plugins: tuple[str, ...]) -> Node:
    """That of the package, and in it what other plugins offer, as far as their source says it."""
    schema: dict[str, Any] = json.loads((shipped_recipes() / "schema.json").read_bytes())
    tables = schema["properties"]
    for name, fields in components_of_plugins(plugins).items():
        family, _, kind = name.partition(".")
        there = {"$ref": f"#/$defs/{name}"}
        table = tables.get(_TABLES.get(family, family))
        if table is None or name in schema["$defs"]:
            continue
        schema["$defs"][name] = {"properties": fields}
        if "anyOf" not in table:  # one of several components, each in a table of its own
            table["properties"].setdefault(kind, there)
            table = table["additionalProperties"]
        table["anyOf"].append(there)
    return schema


def _at(schema: Node, path: str, kinds: Mapping[str, str]) -> list[Node]:
    """What a dotted key may hold."""
    nodes: list[Node] = [schema]
    for depth, name in enumerate(path.split(".") if path else ()):
        below = [node.get("properties", {}).get(name) or node.get("additionalProperties") for node in nodes]
        nodes = [variant for node in below if isinstance(node, dict) for variant in _variants(schema, node)]
        if depth == 0 and name in kinds:
            nodes = [node for node in nodes if _kind(node) == kinds[name]] or nodes
    return nodes


def _kind(node: Node) -> str | None:
    kind: str | None = node.get("properties", {}).get("kind", {}).get("const")
    return kind


def _variants(schema: Node, node: Node) -> Iterator[Node]:
    """A part of the schema, or each of those that it may be."""
    if "$ref" in node:
        yield from _variants(schema, schema["$defs"][node["$ref"].removeprefix("#/$defs/")])
    elif "anyOf" in node and "properties" not in node:
        for each in node["anyOf"]:
            yield from _variants(schema, each)
    else:
        yield node
