"""Recipes to edit, and recipes of the package that are extended by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.errors import RecipeError
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.layers import shipped_recipes
from jepa_core.recipes.new_recipe import write_recipe
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed

SHIPPED = sorted(path.stem for path in shipped_recipes().glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_new_recipe_is_the_old_one_under_its_own_name(name: str, tmp_path: Path) -> None:
    written = write_recipe(tmp_path / "mine", name)
    assert written == tmp_path / "mine.toml"
    mine, origin = (
        load_recipe(path, registry=installed()).table for path in (written, shipped_recipes() / f"{name}.toml")
    )
    assert mine["name"] == "mine"
    assert {key: value for key, value in mine.items() if key not in ("name", "resolved")} == {
        key: value for key, value in origin.items() if key not in ("name", "resolved")
    }
    comments = [line for line in (shipped_recipes() / f"{name}.toml").read_text().splitlines() if line.startswith("# ")]
    assert all(line in written.read_text().splitlines() for line in comments)
    assert "#:schema" not in written.read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("mine")
    with pytest.raises(RecipeError, match=r"mine\.toml is there already"):
        write_recipe(tmp_path / "mine.toml", "quickstart")
    assert (tmp_path / "mine.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("no/mine.toml", "quickstart", "cannot be written: No such file"),
        ("-x.toml", "quickstart", "cannot be a recipe's name"),
        ("a b.toml", "quickstart", "cannot be a recipe's name"),
        ("ü.toml", "quickstart", "ü cannot be a recipe's name: use letters of a–z and A–Z, digits, dots"),
        ("mine.toml", "quickstrat", r'No recipe quickstrat.*Did you mean "quickstart"'),
        ("mine.toml", "other/child.toml", r"extends parent\.toml, which a recipe in .* cannot"),
    ],
)
def test_what_cannot_be_written_is_said(
    file: str, source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "parent.toml").write_text('name = "parent"')
    (tmp_path / "other" / "child.toml").write_text('name = "child"\nextends = "parent.toml"')
    before = set(tmp_path.rglob("*"))
    with pytest.raises(RecipeError, match=f"(?s){message}"):
        write_recipe(Path(file), source)
    assert set(tmp_path.rglob("*")) == before


def test_a_recipe_extends_one_of_the_package_by_name_and_its_own_folder_comes_first(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('name = "a"\nextends = "optimized"\n[train]\nepochs = 7\n')
    recipe = load_recipe(tmp_path / "a.toml", registry=installed()).recipe
    assert (recipe.name, recipe.train.epochs, recipe.encoder.kind) == ("a", 7, "objects")
    (tmp_path / "optimized.toml").write_text('name = "optimized"\nextends = "quickstart"\n')
    assert load_recipe(tmp_path / "a.toml", registry=installed()).recipe.encoder.kind == "colour_blocks"


@pytest.mark.parametrize("extends", ["nowhere", "../quickstart", ".", ""])
def test_what_is_no_recipe_s_name_is_refused_with_the_names_there_are(extends: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(f'name = "a"\nextends = "{extends}"\n')
    with pytest.raises(RecipeFaultsError):
        load_recipe(tmp_path / "a.toml", registry=installed())


def test_a_link_beside_a_recipe_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "outside.toml").write_text('name = "b"')
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.toml").symlink_to(tmp_path / "outside.toml")
    (tmp_path / "in" / "a.toml").write_text('name = "a"\nextends = "b"\n')
    with pytest.raises(RecipeFaultsError, match="only extends files in its own folder"):
        load_recipe(tmp_path / "in" / "a.toml", registry=installed())
