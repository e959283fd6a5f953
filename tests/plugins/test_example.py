"""A distribution of somebody else's, installed by pip into a folder of its own: found, checked, and trained by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.forked import forked_jepa
from tests.plugins.installing import pip_install, run_jepa, run_python

EXAMPLE = Path(__file__).parents[2] / "plugins" / "example"
RECIPE = TINY.replace('kind = "attention"', 'kind = "recency"\nhalf_life = 0.5') + "\n[losses.koleo]\nweight = 0.1\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed distribution and nothing else."""
    target, source = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("source") / "example"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", "dist"))
    pip_install(source, target)
    return target


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recency.toml"
    path.write_text(RECIPE)
    return path


def test_a_recipe_trains_with_its_components_by_name(site: Path, recipe: Path, tmp_path: Path) -> None:
    done = run_jepa(site, tmp_path, "run", str(recipe), "--device", "cpu")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs").iterdir()
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    reported = [row["koleo.nearest"] for row in rows if "loss.koleo" in row]
    assert reported
    assert all(0 < distance <= 2 for distance in reported)
    resolved = (path / "recipe.toml").read_text()
    assert 'kind = "recency"' in resolved
    assert "half_life = 0.5" in resolved


def test_without_it_a_recipe_that_names_its_components_is_refused(recipe: Path, tmp_path: Path) -> None:
    refused = forked_jepa("recipe", "check", str(recipe), cwd=tmp_path, site=tmp_path)
    assert refused.returncode == 2
    assert "no aggregator of this name" in refused.stdout + refused.stderr


@pytest.mark.slow
def test_its_components_are_listed_with_where_they_are_from(site: Path, tmp_path: Path) -> None:
    listed = json.loads(run_jepa(site, tmp_path, "plugins", "list", "--json").stdout)
    theirs = [entry for entry in listed["components"] if entry["from"] == "jepa-recency"]
    assert {(entry["family"], entry["name"]) for entry in theirs} == {("aggregator", "recency"), ("loss", "koleo")}
    assert listed["broken"] == []


@pytest.mark.slow
def test_all_its_components_keep_their_contract(site: Path, tmp_path: Path) -> None:
    checked = run_jepa(site, tmp_path, "plugins", "check", "jepa-recency", "--json")
    assert checked.returncode == 0, checked.stdout
    assert {component["name"] for component in json.loads(checked.stdout)} == {"recency", "koleo"}


@pytest.mark.slow
def test_a_recipe_that_names_them_is_checked_field_by_field(site: Path, recipe: Path, tmp_path: Path) -> None:
    assert run_jepa(site, tmp_path, "recipe", "check", str(recipe)).returncode == 0
    recipe.write_text(RECIPE.replace("half_life = 0.5", "half_lief = 0.5"))
    refused = run_jepa(site, tmp_path, "recipe", "check", str(recipe))
    assert refused.returncode == 2
    assert 'Did you mean "half_life"?' in refused.stdout + refused.stderr


@pytest.mark.slow
def test_the_schema_for_editors_knows_its_settings(site: Path, tmp_path: Path) -> None:
    assert "age at which a weight has halved" in run_jepa(site, tmp_path, "recipe", "schema").stdout


@pytest.mark.slow
def test_its_own_tests_pass(site: Path) -> None:
    done = run_python(site, EXAMPLE, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
