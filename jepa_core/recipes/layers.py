"""What a recipe is made of before it is merged: the file, the files it extends, and the `--set` flags.

Files are data of strangers: at most 64 KiB, no cycle, no path out of the recipe's own folder; recipes of the package
go by name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

import jepa_core
from jepa_core.plain_files import obstacle, open_plain
from jepa_core.recipes.bounded_toml import MOST_KEYS, TooMuchError, parsed_toml
from jepa_core.recipes.faults import Excerpt, Fault, Problem, RecipeFaultsError
from jepa_core.recipes.key_path import KeyPath, dotted
from jepa_core.recipes.positions import excerpt_at, positions_of, syntax_fault
from jepa_core.visible_text import clean

MAX_BYTES = 64 * 1024
"""Of a file, and of all flags together."""

MOST_FLAGS = 1000


@attrs.frozen(kw_only=True)
class Layer:
    """One file, or one `--set`."""

    where: str
    """The path as the user knows it, or the flag."""
    table: dict[str, Any]
    text: str | None = None
    """The file's text; None for a flag, and for tables that stand in no file."""
    is_recipe: bool = False
    """Of tables without a text: they are a whole recipe, as a file is, and faults name the key in them."""
    note: str = ""
    """How it came in, such as `extended by recipes/optimized.toml`."""

    @property
    def is_flag(self) -> bool:
        """Whether `where` names the key already."""
        return self.text is None and not self.is_recipe

    def fault(self, problem: Problem, path: KeyPath, key: str) -> Fault:
        """A problem traced to `path` in this layer."""
        excerpt = None
        if self.text is not None:
            excerpt = positions_of(self.text).find(path, at_key=problem.at_key, span=problem.span)
        return Fault(
            where=_place(self.where, excerpt),
            key=key,
            message=problem.message,
            notes=tuple(filter(None, (*problem.notes, self._quoted(problem.as_text), self.note))),
            component=problem.component,
            excerpt=excerpt,
            from_flag=self.is_flag,
        )

    def _quoted(self, text: str) -> str:
        """How a value is written to be text: of a flag so that a shell leaves its quotes."""
        key, _, typed = self.where.removeprefix("--set ").partition("=")
        # Within a list the text is not the flag's whole value.
        is_whole = self.is_flag and not typed.lstrip().startswith(("[", "{"))
        quoted = f"""'{key}="{typed.strip()}"'""" if is_whole else f'"{text}"'
        return f"as text, in quotes: {quoted}" if text else ""


def read_file_layers(path: Path) -> list[Layer]:
    """The recipe at `path` and what it extends, the furthest ancestor first.

    Raises:
        RecipeFaultsError: a file is missing, too large, not TOML, or extends what it must not.
    """
    root = path.parent.resolve()
    layers, paths = [_read_layer(path)], [path]
    while "extends" in layers[0].table:
        child = paths[0]
        parent = _parent_path(layers[0], child, root)
        if parent.parent == shipped_recipes():
            root = parent.parent.resolve()
        if parent.resolve() in [known.resolve() for known in paths]:
            circle = " → ".join(str(known) for known in [*reversed(paths), parent])
            raise _extends_error(layers[0], child, f"the files extend each other in a circle: {circle}")
        layers.insert(0, _read_layer(parent, note=f"extended by {child}"))
        paths.insert(0, parent)
    return layers


def override_layers(overrides: Sequence[str]) -> list[Layer]:
    """One layer for each `KEY=VALUE`, new kinds first so that the order of flags does not matter.

    Raises:
        RecipeFaultsError: a flag is not `KEY=VALUE`, or there is too much in them.
    """
    if len(overrides) > MOST_FLAGS or sum(map(len, overrides)) > MAX_BYTES:
        message = f"more than {MOST_FLAGS} flags, or {MAX_BYTES // 1024} KiB of them: write a recipe that extends this"
        raise RecipeFaultsError("The command line", [Fault(where="--set", key="", message=message, from_flag=True)])
    layers, faults = [], []
    for override in overrides:
        where = f"--set {override}"
        path, equals, value = override.partition("=")
        keys = parsed_key(path)
        if not equals or keys is None:
            most = f", with at most {MOST_KEYS} names in KEY" if path.count(".") >= MOST_KEYS else ""
            message = f"expected KEY=VALUE, such as train.epochs=3 or data.path=FILE{most}"
            faults.append(Fault(where=where, key="", message=message, from_flag=True))
        elif keys[0] == "extends":
            message = "extends is set in a file only: give the other recipe's path instead"
            faults.append(Fault(where=where, key="extends", message=message, from_flag=True))
        else:
            layers.append((keys[-1] != "kind", Layer(where=where, table=_nested(keys, _parsed_value(value)))))
    if faults:
        raise RecipeFaultsError("The command line", faults)
    return [layer for _, layer in sorted(layers, key=lambda pair: pair[0])]


def is_file(path: Path) -> bool:
    """Whether there is a file; false, where `Path.is_file` raises, for what cannot be a path at all."""
    return os.path.isfile(path)  # noqa: PTH113  # see above


def _read_layer(path: Path, note: str = "") -> Layer:
    text = _read_text(path)
    try:
        table = parsed_toml(text)
    except TooMuchError as error:
        line, column = text.count("\n", 0, error.place) + 1, error.place - text.rfind("\n", 0, error.place)
        raise _file_error(
            path, f"{error}, the most a recipe may have", excerpt=excerpt_at(text, line, column)
        ) from None
    except ValueError as error:
        message, excerpt = syntax_fault(text, error)
        message = f"not TOML: {message[:1].lower()}{message[1:]}"
        raise _file_error(path, message, excerpt=excerpt, note=note) from None
    return Layer(where=str(path), table=table, text=text, note=note)


def _read_text(path: Path) -> str:
    try:
        with open_plain(path, follow_links=not _is_recorded(path)) as file:
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for what cannot be a path at all
        raise _file_error(path, _absent(path)) from None
    except OSError as error:
        why = f"it is {obstacle(path)}" if obstacle(path) else error.strerror
        raise _file_error(path, f"cannot be read: {why}") from None
    if len(content) > MAX_BYTES:
        raise _file_error(path, f"larger than {MAX_BYTES // 1024} KiB, the most a recipe may have")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _file_error(path, f"not UTF-8, first in line {line}") from None


def _absent(path: Path) -> str:
    what = obstacle(path)
    said = f"this is {clean(what)}" if what else "no such file"
    if not _is_recorded(path):
        return said
    return f"{said}, and the run cannot go on without it. Put it back from a copy, or begin anew: jepa run RECIPE"


def _is_recorded(path: Path) -> bool:
    """Whether it lies in a run directory, which may be a stranger's, and not where the user keeps recipes."""
    return path.name == "recipe.toml" and os.path.lexists(path.parent / "status.json")


def _parent_path(layer: Layer, path: Path, root: Path) -> Path:
    """The file that a layer extends, checked."""
    value = layer.table["extends"]
    if not isinstance(value, str) or not value:
        raise _extends_error(layer, path, "expected the path of another recipe as text")
    if Path(value).name == value and not value.endswith(".toml"):
        named = (folder / f"{value}.toml" for folder in (path.parent, shipped_recipes()))
        parent = next(filter(is_file, named), path.parent / value)
    else:
        parent = path.parent / value
    found = is_file(parent)
    is_within = parent.parent == shipped_recipes() or (found and parent.resolve().is_relative_to(root))
    if Path(value).is_absolute() or (found and not is_within):
        raise _extends_error(layer, path, f"a recipe only extends files in its own folder or below: {root}")
    if not found:
        beside = ", ".join(f"{name}.toml" for name in recipe_names(path.parent) if name != path.stem)
        notes = [f"recipes beside it: {beside}"] if beside else []
        notes.append(f"by name from anywhere: {', '.join(recipe_names(shipped_recipes()))}")
        raise _extends_error(layer, path, _absent(parent), *notes)
    return parent


def shipped_recipes() -> Path:
    """The folder of the recipes that come with the package: inside it in a wheel, beside it in a working copy."""
    package = Path(jepa_core.__file__).parent
    inside = package / "recipes" / "shipped"
    return inside if inside.is_dir() else package.parent / "recipes"


def recipe_names(folder: Path) -> list[str]:
    """Of the recipes in a folder."""
    return sorted(file.stem for file in folder.glob("*.toml") if is_file(file))


def _extends_error(layer: Layer, path: Path, message: str, *notes: str) -> RecipeFaultsError:
    problem = Problem(path=("extends",), message=message, notes=notes)
    key = dotted(problem.path, layer.table)
    return RecipeFaultsError(str(path), [layer.fault(problem, problem.path, key)])


def _file_error(path: Path, message: str, *, excerpt: Excerpt | None = None, note: str = "") -> RecipeFaultsError:
    notes = (note,) if note else ()
    fault = Fault(where=_place(str(path), excerpt), key="", message=message, notes=notes, excerpt=excerpt)
    return RecipeFaultsError(str(path), [fault])


def _place(where: str, excerpt: Excerpt | None) -> str:
    return where if excerpt is None else f"{where}:{excerpt.line}:{excerpt.column}"


def parsed_key(text: str) -> tuple[str, ...] | None:
    """The keys of a dotted key; None when it is not one."""
    try:
        node = parsed_toml(f"{text.strip()} = 0") if "\n" not in text else {}
    except ValueError:
        return None
    keys: list[str] = []
    while isinstance(node, dict):
        if len(node) != 1:
            return None
        key, node = next(iter(node.items()))
        keys.append(key)
    return tuple(keys)


def _parsed_value(text: str) -> Any:
    """A TOML value; text that is none is taken as it stands."""
    try:
        document = parsed_toml(f"value = {text}")
    except ValueError:
        return text
    return document["value"] if len(document) == 1 else text


def _nested(keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    nested: dict[str, Any] = value
    return nested
