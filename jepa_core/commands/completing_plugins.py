"""Components of other people's plugins, for the command line's completion, by their source: importing that takes long.

What is read is what plugins of the documented form say: classes with a `kind`, and hooks that return them. Of one that
makes its classes otherwise nothing is offered, and it works all the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from jepa_core.discovery.remarks import OWN_DISTRIBUTION
from jepa_core.discovery.source import InstalledPlugin, installed_plugins
from jepa_core.hookspecs import HOOKS
from jepa_core.plain_files import open_plain

_MOST_FILES, _LONGEST_FILE = 100, 1 << 20
_NO_FIELDS = ("kind", "metrics", "spaces", "space")


def components_of_plugins(local: Iterable[str] = ()) -> dict[str, Mapping[str, Any]]:
    """Such as "aggregator.recency" → the properties of its table, as the schema of recipes has them.

    Args:
        local: files of plugins that the command line names.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for plugin in installed_plugins():
        if isinstance(plugin, InstalledPlugin) and plugin.distribution != OWN_DISTRIBUTION:
            found |= _components(list(_trees(plugin)))
    for file in local:
        found |= _components(list(_tree(Path(file))))
    return found


def _trees(plugin: InstalledPlugin) -> Iterator[ast.Module]:
    """What the files of its package say."""
    package, own = plugin.point.value.partition(":")[0].partition(".")[0].strip(), plugin.own_source
    if not package.isidentifier() or plugin.point.dist is None:
        return
    for root in (own / "src", own) if own else (Path(str(plugin.point.dist.locate_file(""))),):
        single = root / f"{package}.py"
        files = [single] if single.is_file() else islice((root / package).rglob("*.py"), _MOST_FILES)
        for file in files:
            yield from _tree(file)


def _tree(file: Path) -> Iterator[ast.Module]:
    """What a file says; nothing where it cannot be read."""
    with suppress(OSError, SyntaxError, ValueError), open_plain(file, follow_links=True) as opened:
        yield ast.parse(opened.read(_LONGEST_FILE))


def _components(trees: list[ast.Module]) -> dict[str, Mapping[str, Any]]:
    nodes = [node for tree in trees for node in ast.walk(tree)]
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    found: dict[str, Mapping[str, Any]] = {}
    for family, hook in HOOKS.items():
        for function in nodes:
            if not (isinstance(function, ast.FunctionDef) and function.name == hook):
                continue
            used = [node.id for node in ast.walk(function) if isinstance(node, ast.Name)]
            for config in (classes[name] for name in used if name in classes):
                fields = _fields(config)
                if "kind" in fields:
                    found[f"{family}.{fields['kind']['const']}"] = fields
    return found


def _fields(config: ast.ClassDef) -> dict[str, Mapping[str, Any]]:
    """Name → what the schema says of it: the kind as a constant, each setting with its description."""
    said = (ast.get_docstring(config) or "").partition("\n")[0].rstrip(".")
    found: dict[str, Mapping[str, Any]] = {}
    for node in config.body:
        name = node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else ""
        value = node.value if isinstance(node, ast.AnnAssign) else None
        if name == "kind" and isinstance(value, ast.Constant) and isinstance(value.value, str):
            found["kind"] = {"const": value.value, "description": said}
        elif name and name not in _NO_FIELDS and isinstance(value, ast.Call) and value.args:
            first = value.args[0]
            means = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
            found[name] = {"description": means}
    return found
