"""A recipe to edit: another's text with its comments, under a name of its own."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from jepa_core.errors import RecipeError
from jepa_core.plain_files import read_plain
from jepa_core.recipes.layers import MAX_BYTES, read_file_layers, shipped_recipes
from jepa_core.recipes.layout import RECIPE_NAME
from jepa_core.recipes.recipe_path import find_recipe
from jepa_core.visible_text import visible

_NAME_LINE = re.compile(r"^name\s*=.*$", re.MULTILINE)
_EXTENDS_LINE = re.compile(r"^extends\s*=.*$", re.MULTILINE)
_SCHEMA_LINE = re.compile(r"^#:schema .*\n", re.MULTILINE)


def write_recipe(file: Path, source: str) -> Path:
    """Copy a recipe to a file that is not there yet; the file.

    Args:
        file: the copy; `.toml` is added where it is missing.
        source: the recipe to copy: a file, or a name.

    Raises:
        RecipeError: there is no such recipe, the file's name cannot be a recipe's, or it cannot be written.
        RecipeFaultsError: the recipe to copy cannot be read.
    """
    origin = find_recipe(source)
    read_file_layers(origin)
    target = file if file.suffix == ".toml" else file.with_name(f"{file.name}.toml")
    if RECIPE_NAME.fullmatch(target.stem) is None:
        raise RecipeError(
            f"{visible(target.stem)} cannot be a recipe's name: use letters of a–z and A–Z, digits, dots, dashes and "
            "underscores, at most 100, beginning with a letter or digit."
        )
    text = _renamed(read_plain(origin, MAX_BYTES).decode("utf-8-sig"), origin, target)
    try:
        with target.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise RecipeError(
            f"{visible(str(target))} is there already, and is left as it is: give another name."
        ) from None
    except OSError as error:
        raise RecipeError(f"{visible(str(target))} cannot be written: {error.strerror}.") from error
    return target


def _renamed(text: str, origin: Path, target: Path) -> str:
    """The text with another name; it extends what it did."""
    table: dict[str, Any] = tomllib.loads(text)
    changes: dict[str, str] = {"name": target.stem}
    extends = str(table.get("extends", ""))
    if extends and origin.parent.resolve() == shipped_recipes().resolve():
        changes["extends"] = extends.removesuffix(".toml")
    elif extends and origin.parent.resolve() != target.parent.resolve():
        raise RecipeError(
            f"{visible(str(origin))} extends {visible(extends)}, which a recipe in {visible(str(target.parent))} "
            "cannot. Write the new one beside it."
        )
    first = re.search(r"^\[", text, re.MULTILINE)
    head, tables = (text[: first.start()], text[first.start() :]) if first else (text, "")
    head = _SCHEMA_LINE.sub("", head)
    head = _NAME_LINE.sub(f'name = "{target.stem}"', head) if "name" in table else f'name = "{target.stem}"\n{head}'
    if "extends" in changes:
        head = _EXTENDS_LINE.sub(f'extends = "{changes["extends"]}"', head)
    written = head + tables
    if tomllib.loads(written) != {**table, **changes}:
        raise RecipeError(f"{visible(str(origin))} cannot be copied: its name is not on a line of its own.")
    return written
