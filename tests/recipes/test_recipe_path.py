"""Which file a recipe argument means."""

from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.errors import RecipeError
from jepa_core.recipes.recipe_path import find_recipe


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with two shipped recipes and one of its own."""
    (tmp_path / "recipes").mkdir()
    for name in ("recipes/quickstart.toml", "recipes/arc.toml", "mine.toml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_path_is_taken_as_it_is(folder: Path) -> None:
    assert find_recipe("mine.toml") == Path("mine.toml")
    assert find_recipe(str(folder / "mine.toml")) == folder / "mine.toml"


def test_a_bare_name_is_looked_up_among_the_shipped_recipes(folder: Path) -> None:
    assert find_recipe("arc") == Path("recipes/arc.toml")


@pytest.mark.parametrize("text", ["quikstart", "recipes/quikstart.toml"])
def test_a_name_that_is_nearly_right_gets_the_right_one(folder: Path, text: str) -> None:
    with pytest.raises(RecipeError, match='Did you mean "quickstart"') as caught:
        find_recipe(text)
    assert "arc, quickstart" in str(caught.value)


@pytest.mark.parametrize("text", ["", ".", "a" * 5_000, "a\x00b", "recipes"])
def test_what_cannot_be_a_file_is_no_recipe(folder: Path, text: str) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        find_recipe(text)


def test_a_path_that_leaves_the_folder_of_recipes_is_no_bare_name(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"No recipe \.\./mine"):
        find_recipe("../mine")


def test_without_a_folder_of_recipes_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="no folder recipes/"):
        find_recipe("arc")
