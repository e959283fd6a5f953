"""Which file a recipe argument means: a path, or the bare name of a recipe below `recipes/`."""

from __future__ import annotations

from pathlib import Path

from jepa_core.errors import RecipeError
from jepa_core.recipes.faults import did_you_mean
from jepa_core.recipes.layers import is_file
from jepa_core.visible_text import clean

SHIPPED = Path("recipes")


def find_recipe(text: str) -> Path:
    """The file behind a path such as `mine/a.toml`, or a name such as `quickstart`.

    Raises:
        RecipeError: there is no such file; the text lists names that are near.
    """
    path = Path(text)
    if is_file(path):
        return path
    named = SHIPPED / f"{text}.toml"
    if path.name == text and is_file(named):
        return named
    shown, names = clean(text), sorted(file.stem for file in SHIPPED.glob("*.toml"))
    if not names:
        raise RecipeError(f"No recipe {shown}: no such file, and no folder {SHIPPED}/ with recipes here.")
    hint = did_you_mean(path.stem, names)
    raise RecipeError(f"No recipe {shown}: no such file.{hint}\nIn {SHIPPED}/: {', '.join(names)}")
