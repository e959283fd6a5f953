"""Which file a recipe argument means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jepa_core.errors import RecipeError
from jepa_core.recipes.layers import shipped_recipes
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


@pytest.mark.parametrize("text", ["", "a" * 5_000, "a\x00b"])
def test_what_cannot_be_a_file_is_no_recipe(folder: Path, text: str) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        find_recipe(text)


def test_a_path_that_leaves_the_folder_of_recipes_is_no_bare_name(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"No recipe \.\./mine"):
        find_recipe("../mine")


@pytest.mark.parametrize("text", ["arc", "recipes/arc.toml"])
def test_from_any_folder_a_name_means_a_recipe_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe(text) == shipped_recipes() / "arc.toml"


def test_ones_own_recipe_comes_before_one_of_the_package(folder: Path) -> None:
    assert find_recipe("quickstart") == Path("recipes/quickstart.toml")


def test_an_unknown_name_is_told_those_of_both(folder: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        find_recipe("nothing-like-it")
    _, own, shipped = str(caught.value).splitlines()
    assert own == "In recipes/: arc, quickstart"
    assert shipped.startswith("Found from anywhere: arc, ")
    assert "digits" in shipped


@pytest.mark.parametrize("name", ["clean.csv", "frames.npy", "pairs.jsonl.gz", "X.NPZ"])
def test_a_file_of_data_is_no_recipe(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"1,2\n" * 40_000)
    with pytest.raises(RecipeError, match=r"is no recipe: by its name it holds data.*data\.path"):
        find_recipe(name)


def test_a_name_that_is_nearly_that_of_a_file_beside_gets_it(folder: Path) -> None:
    (folder / "frames.toml").write_text('name = "frames"')
    with pytest.raises(RecipeError, match=r'Did you mean "frames\.toml"\?'):
        find_recipe("frmes.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recipes", "it is a folder."),
        (".", "it is a folder."),
        ("folder.toml", "it is a folder."),
        ("folder", "recipes/folder.toml is a folder."),
        ("gone.toml", "it is a link to /nowhere, which leads nowhere."),
        ("recipes/gone.toml", "it is a link to /nowhere, which leads nowhere."),
        ("gone", "recipes/gone.toml is a link to /nowhere, which leads nowhere."),
        ("pipe.toml", "it is no plain file."),
    ],
)
def test_what_is_no_file_is_called_what_it_is_and_never_suggested(folder: Path, text: str, said: str) -> None:
    for place in (folder, folder / "recipes"):
        (place / "folder.toml").mkdir()
        (place / "gone.toml").symlink_to("/nowhere")
    os.mkfifo(folder / "pipe.toml")
    with pytest.raises(RecipeError) as caught:
        find_recipe(text)
    assert str(caught.value).splitlines()[0] == f"No recipe {text}: {said}"
    assert "In recipes/: arc, quickstart\n" in str(caught.value)


def test_an_ending_alone_makes_no_two_names_alike(folder: Path) -> None:
    (folder / "e.toml").touch()
    with pytest.raises(RecipeError, match=r"No recipe nope\.toml: no such file\.\n"):
        find_recipe("nope.toml")
