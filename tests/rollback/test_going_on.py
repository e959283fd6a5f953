"""What is said to go on with a run that has stopped: it can be typed, or says why nothing can."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest

from jepa_core.rollback.going_on import going_on
from jepa_core.rollback.lineage import Lineage, write_lineage
from jepa_core.run_directory.status import read_status, write_status
from tests.commands.reading import called
from tests.run_directory.runs import record_run

STOPS = """
import os
import signal
import attrs
from torch import nn
from jepa_core.hookspecs import hookimpl
from jepa_plugins.aggregators.mean import MeanConfig


@attrs.frozen(kw_only=True)
class StopsConfig(MeanConfig):
    kind = "stops"

    def build(self, facts):
        return Stops(super().build(facts))


class Stops(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.passes = 0

    def forward(self, *given, **more):
        if self.training:
            self.passes += 1
            if self.passes == {passes}:
                {then}
        return self.inner(*given, **more)


@hookimpl
def jepa_aggregators():
    return [StopsConfig]
"""
"""An aggregator that does something in a pass of training; the first is before the first step."""

TWICE = "signal.raise_signal(signal.SIGTERM), signal.raise_signal(signal.SIGTERM)"


def checkpoint(run: Path) -> Path:
    (run / "checkpoints" / "step-3").mkdir(parents=True)
    return run


def from_the_start(run: Path) -> Path:
    write_lineage(run, Lineage(parent="parent", step=0))
    return run


def without_recipe(run: Path) -> Path:
    (run / "recipe.toml").unlink()
    return run


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (checkpoint, "Go on with: jepa run --resume RUN"),
        (from_the_start, "Go on with: jepa run --resume RUN"),
        (lambda run: run, "It has no checkpoint to go on from. Begin anew with: jepa run RUN/recipe.toml"),
        (
            lambda run: without_recipe(checkpoint(run)),
            "RUN/recipe.toml cannot be read, so nothing can go on from here. Put it back, or start a new run.",
        ),
    ],
)
def test_only_what_can_be_typed_is_said(tmp_path: Path, change: Callable[[Path], Path], told: str) -> None:
    run = change(record_run(tmp_path / "run"))
    assert going_on(run) == told.replace("RUN", str(run))


def test_of_a_run_that_is_gone_nothing_is_said_to_be_typed(tmp_path: Path) -> None:
    shutil.rmtree(run := record_run(tmp_path / "run"))
    assert "jepa" not in going_on(run)


def stopped(recipe: Path, *, passes: int, then: str) -> str:
    """What a run says whose component does something in a pass of training."""
    plugin = recipe.with_name("stops.py")
    plugin.write_text(STOPS.format(passes=passes, then=then))
    flags = ["--plugin", plugin.name, "--set", "aggregator.kind=stops", "--no-audit"]
    command = [sys.executable, "-m", "jepa_core.cli", "run", recipe.name, *flags]
    ended = subprocess.run(command, cwd=recipe.parent, check=False, capture_output=True, text=True)
    assert ended.returncode == 128 + signal.SIGTERM, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_a_run_that_is_ended_at_once_before_its_first_checkpoint_is_not_said_to_be_resumed(
    tiny_recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = stopped(tiny_recipe_file, passes=3, then=TWICE)
    assert "Ended at once" in said
    assert "--resume" not in said
    typed = shlex.split(said.partition("Begin anew with: jepa ")[2].splitlines()[0])
    assert typed[2:] == ["--plugin", "stops.py"]
    monkeypatch.chdir(tiny_recipe_file.parent)
    assert called(["recipe", "check", *typed[1:]]).code == 0


def test_a_run_whose_recipe_is_deleted_while_it_trains_can_be_resumed_as_it_says(tiny_recipe_file: Path) -> None:
    delete = "next(__import__('pathlib').Path('runs').glob('*/recipe.toml')).unlink()"
    said = stopped(tiny_recipe_file, passes=3, then=f"{delete}, signal.raise_signal(signal.SIGTERM)")
    (run,) = (tiny_recipe_file.parent / "runs").iterdir()
    assert f"Go on with: jepa run --resume {run.name} --plugin stops.py" in said
    assert "recipe.toml was deleted or replaced while the run went on: it is written again, as it was." in said
    assert (
        called(["recipe", "check", f"{run}/recipe.toml", "--plugin", f"{tiny_recipe_file.parent}/stops.py"]).code == 0
    )


def test_a_resume_that_finds_no_data_leaves_the_run_interrupted(tmp_path: Path) -> None:
    data, recipe = tmp_path / "x.npy", tmp_path / "series.toml"
    np.save(data, np.random.default_rng(0).normal(size=(160, 2)).astype(np.float32))
    recipe.write_text(
        f'name = "series"\n[data]\nkind = "arrays"\npath = "{data}"\nobserved_as = "series"\nholds = "recording"\n'
        'length = 4\nstride = 4\ncontext_length = 2\n[encoder]\nkind = "series"\ndim = 8\nheads = 2\n'
        'layers = 1\n[aggregator]\nkind = "mean"\n[losses.info_nce]\n[train]\nepochs = 2\nbatch_size = 8\n'
    )
    assert called(["run", str(recipe), "--no-audit", "--device", "cpu", "--runs-dir", str(tmp_path / "runs")]).code == 0
    (run,) = (tmp_path / "runs").iterdir()
    shutil.rmtree(max((run / "checkpoints").iterdir(), key=lambda path: int(path.name[5:])))
    before = read_status(run)
    assert before is not None
    write_status(run, attrs.evolve(before, state="interrupted", exit_code=130))
    data.rename(tmp_path / "moved.npy")
    ended = called(["run", "--resume", str(run), "--device", "cpu"])
    assert ended.code != 0
    after = read_status(run)
    assert after is not None
    assert (after.state, after.exit_code, after.total_steps) == ("interrupted", 130, before.total_steps)
    (tmp_path / "moved.npy").rename(data)
    assert called(["run", "--resume", str(run), "--device", "cpu"]).code == 0
    finished = read_status(run)
    assert finished is not None
    assert finished.state == "finished"
