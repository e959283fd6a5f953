"""The shipped recipes hold the values that they are compared by, and build on each other as they say."""

from __future__ import annotations

import functools
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import ENTRY_POINT_GROUP, discover

FOLDER = Path(__file__).parents[2] / "recipes"
FAMILY = ("no_vq", "gentle_vq", "optimized", "production")
WITH_CODES = FAMILY[1:]
PAIRS = ("seed_pairs_no_vq", "seed_pairs_gentle", "seed_pairs", "seed_pairs_production")
OF_THE_SEED = (*FAMILY, *PAIRS)

VALUES: list[tuple[tuple[str, ...], str, Any]] = [
    (("no_vq",), "quantizer.kind", "none"),
    (("no_vq", "gentle_vq", "seed_pairs_gentle"), "aggregator.kind", "mean"),
    (("optimized", "production", *PAIRS[2:]), "aggregator.kind", "attention"),
    (("no_vq", "gentle_vq", "seed_pairs_gentle"), "losses.relational.weight", 0.025),
    (("no_vq", "gentle_vq", "seed_pairs_gentle"), "losses.relational.context_self_weight", 0.01),
    (("optimized", "production", *PAIRS[2:]), "losses.relational.weight", 0.02),
    (("optimized", "production", *PAIRS[2:]), "losses.relational.context_self_weight", 0.005),
    (FAMILY, "losses.relational.normalized", True),
    (WITH_CODES, "quantizer.kind", "ema_vq"),
    ((*WITH_CODES, *PAIRS[1:]), "quantizer.codes", 768),
    (WITH_CODES, "quantizer.commitment", 0.15),
    (WITH_CODES, "quantizer.decay", 0.95),
    (WITH_CODES, "quantizer.revive_below", 0.01),
    (("no_vq", "gentle_vq"), "diagnostics.every_steps", 200),
    (("optimized", "production"), "diagnostics.every_steps", 100),
    (PAIRS[2:], "diagnostics.every_steps", 50),
    (OF_THE_SEED, "diagnostics.sample", 4096),
    (("no_vq", "gentle_vq", "optimized", *PAIRS[:3]), "train.epochs", 30),
    (("no_vq", "gentle_vq", "optimized", *PAIRS[:3]), "watch.early_stop.patience", 20),
    (("no_vq", "gentle_vq", "optimized", *PAIRS[:3]), "watch.early_stop.min_delta", 0.01),
    (PAIRS[:3], "schedule.total_steps", 1396),
    (("production",), "train.epochs", 80),
    (("production",), "watch.early_stop.patience", 30),
    (("production",), "watch.early_stop.min_delta", 0.003),
    (FAMILY, "data.kind", "traces"),
    (FAMILY, "data.num_sequences", 50_000),
    (PAIRS, "data.kind", "manifest"),
    (PAIRS, "data.short_context", "repeat"),
    (PAIRS, "data.split_seed", 13),
    (OF_THE_SEED, "data.validation_share", 0.02),
    (OF_THE_SEED, "data.context_length", 3),
    (OF_THE_SEED, "train.seed", 123),
    (FAMILY, "encoder.kind", "objects"),
    (PAIRS, "encoder.kind", "seed_objects"),
    (("seed_pairs_no_vq",), "quantizer.kind", "none"),
    (PAIRS[1:], "quantizer.kind", "seed_ema_vq"),
    (PAIRS[1:], "quantizer.refresh_every", 210),
    (PAIRS[1:], "quantizer.refresh_below", 0.01),
    (OF_THE_SEED, "encoder.dim", 384),
    (OF_THE_SEED, "encoder.layers", 3),
    (OF_THE_SEED, "encoder.heads", 8),
    (FAMILY, "encoder.dropout", 0.0),
    (PAIRS, "encoder.dropout", 0.1),
    (WITH_CODES, "quantizer.groups", 16),
    (FAMILY, "augmentation.dihedral.enabled", True),
    (FAMILY, "augmentation.wrap.enabled", True),
    (FAMILY, "predictor.kind", "mlp"),
    (FAMILY, "predictor.layers", 4),
    (FAMILY, "encoder.max_objects", 8),
    (PAIRS, "encoder.max_objects", 16),
    (FAMILY, "projector.final_relu", False),
    (PAIRS, "projector.final_relu", True),
    (PAIRS, "predictor.kind", "identity"),
    (OF_THE_SEED, "projector.layers", 2),
    (OF_THE_SEED, "projector.dim", 256),
    (OF_THE_SEED, "losses.info_nce.temperature", 0.07),
    (FAMILY, "losses.info_nce.temperature_min", 0.02),
    (PAIRS, "losses.info_nce.temperature_min", 0.05),
    (OF_THE_SEED, "losses.info_nce.temperature_max", 0.20),
    (OF_THE_SEED, "losses.info_nce.learn_temperature", True),
    (OF_THE_SEED, "losses.info_nce.queue", 8192),
    (PAIRS, "losses.sigreg.weight", 0.1),
    (PAIRS, "losses.sigreg.slices", 1024),
    (PAIRS, "losses.sigreg.points", 17),
    (PAIRS, "losses.invariance.weight", 1.0),
    (PAIRS, "losses.invariance.colours", 0.1),
    (PAIRS, "losses.invariance.translation", 0.05),
    (PAIRS, "losses.invariance.flips", 0.05),
    (OF_THE_SEED, "target.ema_decay", 0.99),
    (OF_THE_SEED, "optimizer.kind", "adam"),
    (FAMILY, "optimizer.lr", 5e-4),
    (PAIRS, "optimizer.lr", 5e-5),
    (OF_THE_SEED, "optimizer.weight_decay", 1e-6),
    (FAMILY, "schedule.warmup_steps", 100),
    (FAMILY, "schedule.floor", 0.02),
    (PAIRS, "schedule.warmup_steps", 1000),
    (PAIRS, "schedule.floor", 0.1),
    (OF_THE_SEED, "train.batch_size", 512),
    (FAMILY, "train.accumulate", 1),
    (FAMILY, "train.clip_norm", 5.0),
    (PAIRS, "train.accumulate", 2),
    (PAIRS, "train.clip_norm", 0.5),
]
"""Recipes, key, value. Counts of steps are of optimizer steps; in `PAIRS` of two micro-batches each."""


@functools.cache
def resolved(name: str) -> dict[str, Any]:
    """A shipped recipe with what it extends and all defaults."""
    builtin = discover(point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name == "builtin")
    return load_recipe(FOLDER / f"{name}.toml", registry=builtin).table


@pytest.mark.parametrize(("names", "key", "value"), VALUES, ids=str)
def test_a_value_is_the_one_that_recipes_are_compared_by(names: tuple[str, ...], key: str, value: Any) -> None:
    for name in names:
        found: Any = resolved(name)
        for part in key.split("."):
            found = found[part]
        assert found == value, name


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("loss", ["sigreg", "invariance"])
def test_the_family_on_traces_goes_without_what_hides_colour_and_place(name: str, loss: str) -> None:
    assert loss not in resolved(name)["losses"]


@pytest.mark.parametrize(
    ("child", "parent"), [("gentle_vq", "no_vq"), ("optimized", "gentle_vq"), ("production", "optimized")]
)
def test_a_recipe_extends_the_one_it_is_a_change_of(child: str, parent: str) -> None:
    assert tomllib.loads((FOLDER / f"{child}.toml").read_text(encoding="utf-8"))["extends"] == f"{parent}.toml"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_names_its_schema_first_and_says_what_it_is(path: Path) -> None:
    first_line = path.read_text(encoding="utf-8").partition("\n")[0]
    assert first_line == "#:schema ./schema.json"
    assert resolved(path.stem)["description"]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_is_watched(path: Path) -> None:
    watch = resolved(path.stem)["watch"]
    assert watch["must"], "a verdict without a must says nothing"
    assert any("finite" in rule["when"] for rule in (*watch["must"], *watch["abort"]))
