"""What a scenario would change can be changed: the recipe with it loads, and trains."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from jepa_core.errors import JepaError
from jepa_core.recipes.reading import load_recipe, with_scenarios
from jepa_core.recipes.structuring import recipe_table
from jepa_core.recipes.tables import Recipe
from jepa_core.recipes.writing import toml_key, value_to_toml
from jepa_core.registry import installed
from jepa_core.watch.rules import Scenario
from tests.engine.training import a_trainer, take_steps

RECIPES = Path(__file__).parents[2] / "recipes"

# Values that make the scenarios with a remedy of their own offer it.
VARIANTS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "a target that hardly lags": ("target.ema_decay=0.3",),
    "a target that hardly follows": ("target.ema_decay=0.999",),
    "attention over time": ('aggregator.kind="attention"',),
    "codes": ('quantizer.kind="ema_vq"', "quantizer.codes=8", "quantizer.revive_every=50"),
    "a raw relational loss": ("losses.relational.normalized=false", "losses.relational.weight=0.02"),
}


def overrides_of(changes: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Nested tables as `KEY=VALUE`."""
    for key, value in changes.items():
        path = f"{above}{toml_key(key)}"
        if isinstance(value, Mapping):
            yield from overrides_of(value, f"{path}.")
        else:
            yield f"{path}={value_to_toml(value)}"


def remedies(path: Path, *overrides: str) -> dict[str, Scenario]:
    """The rules with a remedy that the built-in scenarios give for a recipe."""
    registry = installed()
    recipe = with_scenarios(load_recipe(path, overrides=overrides, registry=registry), registry).recipe
    return {rule.id: rule for rule in recipe.watch.scenario if rule.set}


def value_at(table: Mapping[str, Any], dotted: str) -> Any:
    """None where the recipe has no such key."""
    found: Any = table
    for key in dotted.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


ADVISED = {**VARIANTS, "one bit": ('quantizer.kind="fsq"',), "no predictor": ('predictor.kind="identity"',)}


@pytest.mark.parametrize("overrides", ADVISED.values(), ids=ADVISED)
@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_an_advice_names_only_what_the_recipe_has_and_does_not_say_so_already(
    path: Path, overrides: tuple[str, ...]
) -> None:
    registry = installed()
    try:
        loaded = with_scenarios(load_recipe(path, overrides=overrides, registry=registry), registry)
    except JepaError:
        pytest.skip("the recipe cannot be varied so")
    table = recipe_table(loaded.recipe)
    assert loaded.recipe.watch.scenario
    for rule in loaded.recipe.watch.scenario:
        for key, _, value in re.findall(r"\b([a-z]+(?:\.\w+)+)( = (\S*[\w\"]))?", rule.advice):
            if key.partition(".")[0] not in table:
                continue  # a metric
            assert value_at(table, key) is not None, rule
            assert value_to_toml(value_at(table, key)) != value or "clip_norm" in key, rule
        assert "reviv" not in rule.advice or "revive_every" in table["quantizer"], rule


def test_below_the_strongest_null_the_advice_is_for_the_recipe() -> None:
    advised = {}
    for kind in ("none", "ema_vq"):
        overrides = (f'quantizer.kind="{kind}"', 'predictor.kind="mlp"')
        registry = installed()
        recipe = with_scenarios(
            load_recipe(RECIPES / "series.toml", overrides=overrides, registry=registry), registry
        ).recipe
        (advised[kind],) = (rule.advice for rule in recipe.watch.scenario if rule.id == "below_strongest_null")
    assert 'quantizer.kind = "none"' in advised["ema_vq"]
    assert "quantizer" not in advised["none"]
    assert "data.context_length" in advised["none"]


@pytest.mark.parametrize("overrides", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_remedy_for_a_shipped_recipe_gives_a_recipe(path: Path, overrides: tuple[str, ...]) -> None:
    registry = installed()
    if "losses.relational.normalized=false" in overrides:
        overrides = (*overrides, 'losses.relational.kind="relational"')
    if "quantizer.codes=8" in overrides and "vq.recent_usage" in path.read_text(encoding="utf-8"):
        pytest.skip("its rules name a figure of its own quantizer")
    table = load_recipe(path, overrides=overrides, registry=registry).recipe
    for rule in remedies(path, *overrides).values():
        changed = load_recipe(path, overrides=(*overrides, *overrides_of(rule.set)), registry=registry).recipe
        assert changed != table, rule.id


def test_the_variants_make_every_scenario_with_a_remedy_offer_it() -> None:
    offered = {
        rule.of
        for overrides in VARIANTS.values()
        if "losses.relational.normalized=false" not in overrides
        for path in (RECIPES / "quickstart.toml", RECIPES / "optimized.toml")
        for rule in remedies(path, *overrides).values()
    }
    remedied = {"codebook_collapse", "codebook_shock", "attention_uniform", "lr_at_floor", "target_equal"}
    remedied |= {"target_drifts", "temperature_at_bound", "loss_takes_over", "loss_explodes", "loss_dead"}
    assert offered >= remedied


@pytest.mark.parametrize("overrides", VARIANTS.values(), ids=VARIANTS)
def test_a_recipe_with_every_remedy_trains(
    tiny_recipe_file: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    for rule in remedies(tiny_recipe_file, *overrides).values():
        changed = tiny_recipe(*overrides, *overrides_of(rule.set))
        trainer = take_steps(a_trainer(changed, tmp_path / rule.id), 2)
        assert int(trainer.step.vote.bad_step) < 0, rule.id


def test_a_dead_loss_is_left_out_only_where_another_is_left() -> None:
    registry = installed()
    for beside in (0.0, 0.1):
        overrides = ('losses.sigreg.kind="sigreg"', f"losses.sigreg.weight={beside}")
        recipe = load_recipe(RECIPES / "quickstart.toml", overrides=overrides, registry=registry)
        loaded = with_scenarios(recipe, registry)
        dead = {rule.id: rule for rule in loaded.recipe.watch.scenario if rule.of == "loss_dead"}
        rule = dead["loss_dead.info_nce"]
        assert bool(rule.set) is bool(beside)
        assert ("or leave it out" in rule.advice) is bool(beside)
        assert ("optimizer.lr" in rule.advice and "losses.info_nce.temperature" in rule.advice) is not bool(beside)
