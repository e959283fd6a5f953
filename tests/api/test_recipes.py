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
from jepa_core.errors import RecipeError
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.layers import override_layers
from jepa_core.recipes.merging import MergedRecipe

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
        ("--set train.epochs=0", "train.epochs"),
    }
    assert 'Did you mean "convnet"' in str(refused.value)


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
