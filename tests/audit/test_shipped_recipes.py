"""No shipped recipe has a critical finding on data of its own kind, but for those whose findings are their point."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from jepa_core.audit.brief import brief_audit
from jepa_core.audit.budget import budget_findings
from jepa_core.engine.course import Course
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed
from jepa_core.watch.findings import Finding
from tests.audit.recipes import COMPUTE, data_of

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
SEED_POINTS = {"aggregator without effect"}
"""What `seed_pairs*` with attention are there to show: three copies of one grid leave it nothing to weigh."""
BATCHES = {"traces": 95, "manifest": 95, "arc": 200, "moving_digits": 50, "series_demo": 35}
"""Micro-batches of an epoch of the recipes' own data, or few enough for them."""


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Small tasks of one pair each: something drawn on a grid, and its mirror image."""
    draw = random.Random(0)
    path = tmp_path / "pairs.jsonl"
    with path.open("w") as file:
        for number in range(300):
            grid = [[draw.choice((0, 0, 0, draw.randint(1, 9))) for _ in range(8)] for _ in range(8)]
            file.write(json.dumps({"id": str(number), "input": grid, "output": [row[::-1] for row in grid]}) + "\n")
    return path


def small(path: Path, pairs: Path) -> Recipe:
    """A shipped recipe on little data of its own kind."""
    kind = load_recipe(path, registry=installed()).recipe.data.kind
    data = {
        "traces": ["data.num_sequences=300"],
        "manifest": [f"data.path={json.dumps(str(pairs))}", "data.validation_share=0.2"],
        "arc": ["data.train_windows=1"],
        "moving_digits": ["data.num_sequences=1200"],
        "series_demo": ["data.validation_share=0.2"],
    }[kind]
    return load_recipe(path, overrides=data, registry=installed()).recipe


def criticals(recipe: Recipe) -> set[str]:
    findings: tuple[Finding, ...] = brief_audit(recipe, data_of(recipe), COMPUTE, 120.0)
    return {finding.name for finding in findings if finding.severity == "critical"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_only_the_seeds_recipes_have_critical_findings_on_their_own_data(path: Path, pairs: Path) -> None:
    recipe = small(path, pairs)
    has_point = path.stem.startswith("seed_pairs") and recipe.aggregator.kind == "attention"
    assert criticals(recipe) == (SEED_POINTS if has_point else set())


def test_one_context_grid_on_purpose_is_no_fault_and_not_advised(pairs: Path) -> None:
    (path,) = (path for path in RECIPES if path.stem == "beyond")
    for overrides in ((), ("aggregator.kind=attention",)):
        recipe = small(path, pairs)
        if overrides:
            texts = ("aggregator.kind=attention", f"data.path={json.dumps(str(pairs))}", "data.validation_share=0.2")
            recipe = load_recipe(path, overrides=texts, registry=installed()).recipe
        for finding in brief_audit(recipe, data_of(recipe), COMPUTE, 120.0):
            assert finding.severity != "critical", finding.message
            assert "data" not in finding.set
            assert "context_length" not in finding.advice


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_fits_the_length_of_its_own_run(path: Path) -> None:
    recipe = load_recipe(path, registry=installed()).recipe
    course = Course.of(recipe, BATCHES[recipe.data.kind] * recipe.train.batch_size)
    assert [finding.message for finding in budget_findings(recipe, course)] == []
