"""Somebody else's space, installed by pip into a folder of its own: every command takes it as one of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.forked import forked_jepa
from tests.plugins.installing import pip_install, run_python

EXAMPLE = Path(__file__).parents[2] / "plugins" / "example_points"
RECIPE = """
name = "points"

[data]
kind = "point_clouds"
num_sequences = 120
points = 12
validation_share = 0.2

[augmentation.rotate_points]

[encoder]
kind = "point_encoder"
dim = 16
width = 16

[aggregator]
kind = "attention"

[predictor]
kind = "mlp"

[projector]
layers = 1
dim = 12

[losses.info_nce]
queue = 16

[train]
epochs = 1
batch_size = 16
seed = 3

[diagnostics]
log_every_steps = 1
every_steps = 2
sample = 16
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed distribution and nothing else."""
    target, source = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("source") / "example_points"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", "dist"))
    pip_install(source, target)
    return target


@pytest.fixture(scope="module")
def folder(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and its finished run."""
    path = tmp_path_factory.mktemp("work")
    (path / "points.toml").write_text(RECIPE)
    done = forked_jepa("run", "points.toml", "--device", "cpu", cwd=path, site=site)
    assert done.returncode == 0, done.stdout + done.stderr
    return path


def test_a_run_on_its_space_is_ranked_beside_its_nulls(folder: Path) -> None:
    (run,) = (folder / "runs").iterdir()
    environment = json.loads((run / "environment.json").read_text())
    assert {"last_points", "moved_points", "untrained"} <= set(environment["nulls"])
    assert "[augmentation.rotate_points]" in (run / "recipe.toml").read_text()


def test_its_run_is_evaluated_watched_and_checked(site: Path, folder: Path) -> None:
    evaluated = forked_jepa("eval", "latest", "--device", "cpu", "--json", cwd=folder, site=site)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "shape" in evaluated.stdout
    for command in (("monitor", "--once"), ("check",)):
        done = forked_jepa(*command, "latest", cwd=folder, site=site)
        assert done.returncode == 0, done.stdout + done.stderr


def test_where_it_is_not_installed_its_run_can_still_be_watched_and_checked(folder: Path, tmp_path: Path) -> None:
    for command in (("monitor", "--once"), ("check",)):
        done = forked_jepa(*command, "latest", cwd=folder, site=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_an_encoder_of_another_space_is_refused_at_its_line(site: Path, tmp_path: Path) -> None:
    paired = RECIPE.replace('kind = "point_encoder"\ndim = 16\nwidth = 16', 'kind = "cells"')
    (tmp_path / "paired.toml").write_text(paired)
    refused = forked_jepa("recipe", "check", "paired.toml", cwd=tmp_path, site=site)
    line = paired.splitlines().index('kind = "cells"') + 1
    assert refused.returncode == 2
    said = refused.stdout + refused.stderr
    assert f"paired.toml:{line}" in said
    assert 'data.kind = "point_clouds" gives point sets' in said
    assert "point_encoder" in said


def test_its_components_are_listed_and_its_recipe_is_right(site: Path, tmp_path: Path) -> None:
    listed = json.loads(forked_jepa("plugins", "list", "--json", cwd=tmp_path, site=site).stdout)
    theirs = {(entry["family"], entry["name"]) for entry in listed["components"] if entry["from"] == "jepa-points"}
    assert theirs == {
        ("dataset", "point_clouds"),
        ("augmentation", "rotate_points"),
        ("encoder", "point_encoder"),
        ("null", "last_points"),
        ("null", "moved_points"),
    }
    assert listed["broken"] == []
    recipe = str(EXAMPLE / "recipes" / "points.toml")
    assert forked_jepa("recipe", "check", recipe, cwd=tmp_path, site=site).returncode == 0


def test_all_its_components_keep_their_contract(site: Path, tmp_path: Path) -> None:
    checked = forked_jepa("plugins", "check", "jepa-points", "--json", cwd=tmp_path, site=site)
    assert checked.returncode == 0, checked.stdout
    assert len(json.loads(checked.stdout)) == 5


@pytest.mark.slow
def test_its_data_is_audited(site: Path, folder: Path) -> None:
    audited = forked_jepa("audit", "points.toml", "--device", "cpu", cwd=folder, site=site)
    assert "of 12 (least, median, most)" in audited.stdout, audited.stderr


@pytest.mark.slow
def test_its_own_tests_pass(site: Path) -> None:
    done = run_python(site, EXAMPLE, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
