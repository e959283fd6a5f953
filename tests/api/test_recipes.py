"""Recipes from Python: by name from any folder, from a dictionary, with values changed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import jepa_core as jepa
from jepa_core.api.recipes import flags_of
from jepa_core.errors import PluginError, RecipeError
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.layers import override_layers
from jepa_core.recipes.merging import MergedRecipe
from tests.engine.test_judged_metrics import PLUGIN

TABLES: dict[str, Any] = {
    "name": "mine",
    "data": {"kind": "moving_digits", "num_sequences": 300},
    "encoder": {"kind": "convnet", "dim": 16},
    "losses": {"info_nce": {}},
}


@pytest.mark.parametrize("source", ["quickstart", "recipes/quickstart.toml", Path("recipes/quickstart.toml")])
def test_shipped_recipes_are_found_from_any_folder(
    source: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert jepa.recipe(source).name == "quickstart"


def test_values_are_changed_by_dotted_keys_or_nested() -> None:
    dotted = jepa.recipe("quickstart", set={"train.epochs": 3, "optimizer.lr": 1e-4, "quantizer.kind": "ema_vq"})
    values = {"train": {"epochs": 3}, "optimizer": {"lr": 1e-4}, "quantizer": {"kind": "ema_vq"}}
    nested = jepa.recipe("quickstart", set=values)
    assert dotted.table == nested.table
    assert (dotted.table["train"]["epochs"], dotted.table["quantizer"]["kind"]) == (3, "ema_vq")
    assert dotted.loaded.overrides == ("train.epochs=3", "optimizer.lr=0.0001", 'quantizer.kind="ema_vq"')


def test_a_dictionary_is_a_recipe_and_its_text_is_the_same_again(tmp_path: Path) -> None:
    recipe = jepa.recipe(TABLES, set={"train.epochs": 2})
    assert repr(recipe) == "<Recipe mine: moving_digits, convnet, mean, info_nce, 2 epochs>"
    path = tmp_path / "mine.toml"
    path.write_text(recipe.toml)
    again = jepa.recipe(path)
    assert {**again.table, "resolved": None} == {**recipe.table, "resolved": None}


def test_all_faults_are_told_with_their_place() -> None:
    with pytest.raises(RecipeFaultsError) as refused:
        jepa.recipe({**TABLES, "encoder": {"kind": "convnte"}}, set={"train.epochs": 0})
    assert {(fault.where, fault.key) for fault in refused.value.faults} == {
        ("the dictionary", "encoder.kind"),
        ("set: train.epochs=0", "train.epochs"),
    }
    assert 'Did you mean "convnet"' in str(refused.value)
    assert "\n  the dictionary  encoder.kind\n" in str(refused.value)


def test_a_fault_of_a_dictionary_names_its_key_also_where_one_is_missing() -> None:
    with pytest.raises(RecipeFaultsError) as refused:
        jepa.recipe({**TABLES, "data": {}, "train": {"epochs": True, "batch_size": 0}})
    told = [line.strip() for line in str(refused.value).splitlines() if line.startswith("  the dictionary")]
    assert told == ["the dictionary  data", "the dictionary  train.epochs", "the dictionary  train.batch_size"]


def test_a_recipe_stays_as_it_was_read() -> None:
    recipe = jepa.recipe(TABLES)
    recipe.table["encoder"]["dim"] = 999
    assert recipe.table["encoder"]["dim"] == 16
    assert "dim = 999" not in recipe.toml


@pytest.mark.parametrize("name", ["digits", "no such recipe"])
def test_a_dictionary_extends_nothing_and_says_what_does(name: str) -> None:
    with pytest.raises(RecipeError) as refused:
        jepa.recipe({**TABLES, "extends": name})
    assert f"jepa.recipe({name!r}, set={{…}})" in str(refused.value)


def endless(kind: type) -> Any:
    holder: Any = kind()
    if kind is dict:
        holder["a"] = holder
    else:
        holder.append(holder)
    return holder


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ("train.epochs=2", "set = 'train.epochs=2': give a dictionary"),
        (["train.epochs=2"], "give a dictionary"),
        ({1: 2}, "1 is no key: keys of a recipe are text"),
        ({"train": {2: 3}}, "2 is no key in train"),
        ({"train.epochs": 2, "train": {"epochs": 3}}, "set has train.epochs twice"),
        ({"train.epochs": 2, "train": 3}, "set has train twice"),
        ({"": 1}, "'' is no key of a recipe"),
        ({"train.epochs=3 #": 1}, "'train.epochs=3 #' is no key of a recipe"),
        (endless(dict), "contains itself"),
        ({"name": endless(list)}, "contains itself"),
        ({"train.epochs": np.array(1 + 2j)}, r"train.epochs = (1+2j) cannot stand in a recipe"),
    ],
)
def test_what_changes_nothing_in_a_recipe_is_refused(changes: Any, told: str) -> None:
    with pytest.raises(RecipeError) as refused:
        jepa.recipe(TABLES, set=changes)
    assert told in str(refused.value)


@pytest.mark.parametrize("source", [{1: 2}, endless(dict), {**TABLES, "name": endless(list)}])
def test_a_dictionary_that_is_no_recipe_is_refused(source: Any) -> None:
    with pytest.raises(RecipeError, match=r"is no key|contains itself"):
        jepa.recipe(source)


@pytest.mark.parametrize(
    ("plugins", "told"),
    [
        ("nope.py", r'^plugins=\["nope\.py"\]: cannot be read'),
        (["nope.py"], r'^plugins=\["nope\.py"\]: cannot be read'),
        (3, "plugins = 3: give a list of files"),
        ([None], "plugins: None is no file"),
    ],
)
def test_plugins_that_are_no_files_are_refused(plugins: Any, told: str) -> None:
    with pytest.raises(PluginError, match=told):
        jepa.recipe(TABLES, plugins=plugins)


def test_one_plugin_is_a_list_of_one(tmp_path: Path) -> None:
    file = tmp_path / "length.py"
    file.write_text(PLUGIN)
    for one in (file, str(file), [file]):
        recipe = jepa.recipe({**TABLES, "losses": {"info_nce": {}, "length": {}}}, plugins=one)
        assert list(recipe.table["losses"]) == ["info_nce", "length"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "data.path = None cannot stand in a recipe. Leave the key out to have its default."),
        ({1, 2}, "data.path = {1, 2} cannot stand in a recipe. Give text, a number, a truth or a list."),
        (np.zeros(2), "cannot stand in a recipe"),
    ],
)
def test_what_no_recipe_holds_is_refused(value: Any, told: str) -> None:
    for make in (lambda: jepa.recipe(TABLES, set={"data.path": value}), lambda: flags_of({"data": {"path": value}})):
        with pytest.raises(RecipeError) as refused:
            make()
        assert told in str(refused.value)


def test_an_unknown_recipe_is_refused_with_those_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match='Did you mean "quickstart"') as refused:
        jepa.recipe("quikstart")
    assert "Found from anywhere: arc" in str(refused.value)


def test_an_empty_table_is_a_value_too() -> None:
    assert flags_of({"augmentation": {"shift": {}}}) == ["augmentation.shift={}"]
    assert list(jepa.recipe(TABLES, set={"augmentation": {"shift": {}}}).table["augmentation"]) == ["shift"]


def test_values_come_back_from_flags_as_they_were() -> None:
    values: dict[str, Any] = {
        "a": {"path": Path("x y/z.npz"), "text": 'q"\\', "list": [1, 2.5, "x"], "yes": True},
        "b.c": np.float32(0.5),
        "b.d": torch.tensor(3),
        "b.e": np.int64(7),
    }
    merged = MergedRecipe(override_layers(flags_of(values))).table
    assert merged == {
        "a": {"path": "x y/z.npz", "text": 'q"\\', "list": [1, 2.5, "x"], "yes": True},
        "b": {"c": 0.5, "d": 3, "e": 7},
    }


def test_a_wheel_holds_the_recipes() -> None:
    hatch = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]
    assert hatch["wheel"]["force-include"] == {"recipes": "jepa_core/recipes/shipped"}
