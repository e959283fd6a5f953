"""A recipe on the terminal: what is its own stands out, and rules are shown as they are written."""

from __future__ import annotations

import io
from pathlib import Path

import attrs
from rich.console import Console

from jepa_core.presentation.recipe_view import differences_view, recipe_view
from jepa_core.recipes.difference import Change, recipe_difference
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import Registry, installed
from jepa_core.settings import setting
from tests.presentation.consoles import words_of
from tests.recipes.small_registry import CellsConfig, small_registry
from tests.recipes.writing_recipes import MINIMAL, load, write

RECIPES = Path(__file__).parents[2] / "recipes"

RULES = '\n[[watch.must]]\nid = "all[b]"\nwhen = "loss.total < 3"\n'


def test_every_value_has_its_unit_and_meaning_and_every_rule_its_condition(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, "mine", MINIMAL.replace("[encoder]", "context_length = 5\n\n[encoder]") + RULES))
    lines = words_of(recipe_view(loaded, small_registry()))
    assert lines[0].startswith("mine · ")
    for line in (
        "[data] grids: Grids from a file",
        "context_length 5 grids before the target (grids)",
        "path – file to read",
        "[losses.contrast] contrast: Contrast",
        'judge ["val.retrieval.mrr", "val.loss.info_nce.raw"]',
        "must all[b] loss.total < 3",
    ):
        assert any(shown.startswith(line) for shown in lines), line


def bold(loaded: object) -> str:
    """What is bold on a terminal, without the headline."""
    out = io.StringIO()
    console = Console(file=out, width=160, force_terminal=True, color_system="standard", markup=False, highlight=False)
    console.print(recipe_view(loaded, small_registry()))  # type: ignore[arg-type]  # a loaded recipe
    return "\n".join(line for line in out.getvalue().splitlines()[1:] if "\x1b[1m" in line)


def test_what_belongs_to_every_component_of_a_family_is_shown_and_so_are_augmentations_and_nulls() -> None:
    registry = installed()
    loaded = load_recipe(RECIPES / "digits.toml", overrides=["nulls.motion.enabled=false"], registry=registry)
    lines = words_of(recipe_view(loaded, registry))
    for title, field in {
        "[data] moving_digits": 'place "auto" ',
        "[augmentation.shift] shift": "enabled false ",
        "[losses.view_contrast] view_contrast": "weight 1.0 ",
        "[nulls.motion] motion": "enabled false ",
    }.items():
        (start,) = [number for number, line in enumerate(lines) if line.startswith(title)]
        section = lines[start + 1 : start + 4]
        assert any(line.startswith(field) for line in section), (title, section)


def test_values_of_its_own_are_bold_and_defaults_are_not(tmp_path: Path) -> None:
    path = write(tmp_path, "mine", MINIMAL)
    assert "context_length" not in bold(load(path))
    assert "context_length" in bold(load(path, "data.context_length=4"))


def test_recipes_that_differ_in_nothing_are_said_to_be_the_same() -> None:
    recipe = {"train": {"epochs": 3}}
    assert words_of(differences_view(recipe_difference(recipe, recipe), "a", "b")) == ["a and b are the same recipe."]


def test_each_difference_has_both_values_and_a_sign_where_there_is_none() -> None:
    changes = (Change("train.epochs", 3, 30), Change("aggregator.kind", "mean", None), Change("x", [1, 2], False))
    assert words_of(differences_view(changes, "a", "b")) == [
        "key a b",
        "train.epochs 3 30",
        'aggregator.kind "mean" –',
        "x [1, 2] false",
    ]


@attrs.frozen(kw_only=True)
class HostileConfig(CellsConfig):
    """Cells\x1b[2J."""

    depth: int = setting("layers\x1b[2J\u202e", default=1, unit="\x07")


def test_what_a_plugin_says_of_its_fields_does_not_steer_the_terminal(tmp_path: Path) -> None:
    components = dict(small_registry().components)
    key = ("encoder", "cells")
    components[key] = attrs.evolve(components[key], config_class=HostileConfig)
    registry = Registry(components=components, broken=())
    loaded = load_recipe(write(tmp_path, "mine", MINIMAL), registry=registry)
    text = "".join(words_of(recipe_view(loaded, registry)))
    assert "layers␛[2J" in text
    assert text.isprintable()
