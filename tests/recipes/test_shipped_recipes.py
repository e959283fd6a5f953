"""The recipes in `recipes/`, with the built-in components: all load, reproduce themselves, and fit the schema."""

from __future__ import annotations

import functools
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator

from jepa_core.recipes.json_schema import recipe_schema
from jepa_core.recipes.reading import LoadedRecipe, load_recipe
from jepa_core.recipes.writing import recipe_to_toml
from jepa_core.registry import ENTRY_POINT_GROUP, Registry, discover

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(FOLDER.glob("*.toml"))


@functools.cache
def builtin_registry() -> Registry:
    """The built-in components, whatever else is installed."""
    return discover(point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name == "builtin")


def loaded(path: Path) -> LoadedRecipe:
    """A shipped recipe; those on data of one's own are in order without it, too."""
    return load_recipe(path, registry=builtin_registry())


def test_recipes_are_shipped() -> None:
    assert {path.stem for path in RECIPES} >= {"quickstart", "arc", "gentle_vq", "optimized", "production", "no_vq"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_loads_and_is_named_like_its_file(path: Path) -> None:
    assert loaded(path).recipe.name == path.stem


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_resolved_recipe_reproduces_a_shipped_one(path: Path, tmp_path: Path) -> None:
    resolved = tmp_path / "recipe.toml"
    resolved.write_text(recipe_to_toml(loaded(path).table), encoding="utf-8")
    assert load_recipe(resolved, registry=builtin_registry()).recipe == loaded(path).recipe


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_fits_the_schema_that_its_first_line_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    name = text.partition("\n")[0].removeprefix("#:schema ")
    schema = orjson.loads((path.parent / name).read_bytes())
    assert [error.message for error in Draft202012Validator(schema).iter_errors(tomllib.loads(text))] == []


def test_the_schema_beside_the_recipes_is_current() -> None:
    written = orjson.loads((FOLDER / "schema.json").read_bytes())
    current = orjson.loads(orjson.dumps(recipe_schema(builtin_registry())))
    assert written == current, "components or tables changed: jepa recipe schema > recipes/schema.json"
