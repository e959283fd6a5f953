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

import jepa_core as jepa
from jepa_core.rollback.going_on import going_on
from jepa_core.rollback.lineage import Lineage, write_lineage
from jepa_core.run_directory.reading import RunReader
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


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """A run on `x.npy` beside it that was stopped after its first checkpoint."""
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
    return run


def stands_at(run: Path) -> tuple[str, int | None, int]:
    status = read_status(run)
    assert status is not None
    return status.state, status.exit_code, status.total_steps


def test_a_resume_that_finds_no_data_leaves_the_run_interrupted(interrupted: Path, tmp_path: Path) -> None:
    before = stands_at(interrupted)
    (tmp_path / "x.npy").rename(tmp_path / "moved.npy")
    ended = called(["run", "--resume", str(interrupted), "--device", "cpu"])
    assert ended.code != 0
    assert stands_at(interrupted) == before
    (tmp_path / "moved.npy").rename(tmp_path / "x.npy")
    assert called(["run", "--resume", str(interrupted), "--device", "cpu"]).code == 0
    assert stands_at(interrupted)[0] == "finished"


def test_a_run_whose_data_was_moved_goes_on_where_it_lies_now_and_everything_after_it_looks_there(
    interrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.npy").rename(tmp_path / "moved.npy")
    monkeypatch.chdir(tmp_path)
    resume = ["run", "--resume", str(interrupted), "--device", "cpu"]
    assert "Give another with --set data.path=" in called(resume).error
    ended = called([*resume, "--set", "data.path=moved.npy"])
    assert ended.code == 0, ended.said
    said = f"the data lies at {tmp_path}/moved.npy now, and is what the run began with"
    assert said in " ".join(ended.out.split())
    (moved,) = [event.message for event in RunReader(interrupted).events() if event.name == "data moved"]
    assert moved == f"{said.capitalize()[:4]}{said[4:]}."
    assert RunReader(interrupted).recipe()["data"]["path"] == str(tmp_path / "moved.npy")
    monkeypatch.chdir("/")
    assert called(["eval", str(interrupted), "--device", "cpu"]).code == 0
    assert called(["recipe", "check", f"{interrupted}/recipe.toml"]).code == 0


def test_from_python_too_a_run_goes_on_where_its_data_lies_now_and_with_no_other_change(
    interrupted: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.npy").rename(tmp_path / "moved.npy")
    before = stands_at(interrupted)
    with pytest.raises(jepa.JepaError, match=r'Give another with set=\{"data.path": '):
        jepa.resume(interrupted, device="cpu")
    with pytest.raises(jepa.JepaError, match=r"data\.stride=2 cannot be set, and nothing but data.path"):
        jepa.resume(interrupted, set={"data": {"path": str(tmp_path / "moved.npy"), "stride": 2}}, device="cpu")
    np.save(tmp_path / "other.npy", np.zeros((160, 2), np.float32))
    with pytest.raises(jepa.JepaError, match="its data has changed since it began"):
        jepa.resume(interrupted, set={"data.path": tmp_path / "other.npy"}, device="cpu")
    assert stands_at(interrupted) == before
    run = jepa.resume(interrupted, set={"data.path": tmp_path / "moved.npy"}, device="cpu")
    assert run.state == "finished"
    assert run.recipe["data"]["path"] == str(tmp_path / "moved.npy")
    assert [event.name for event in run.events].count("data moved") == 1


def test_a_rollback_of_a_run_whose_data_was_moved_says_where_to_say_so(interrupted: Path, tmp_path: Path) -> None:
    (tmp_path / "x.npy").rename(tmp_path / "moved.npy")
    step = max(int(path.name[5:]) for path in (interrupted / "checkpoints").iterdir())
    rollback = ["rollback", str(interrupted), "--to", str(step), "--set", "train.clip_norm=1.0", "--device", "cpu"]
    said = called([*rollback, "--set", f"data.path={tmp_path}/moved.npy"]).error
    assert "Where that lies elsewhere now, say so in the run's recipe.toml." in said
    assert "elsewhere" not in called([*rollback, "--set", "data.stride=2"]).error
    recipe = interrupted / "recipe.toml"
    recipe.write_text(recipe.read_text().replace(f"{tmp_path}/x.npy", f"{tmp_path}/moved.npy"))
    ended = called(rollback)
    assert ended.code == 0, ended.said


def test_a_run_goes_on_with_no_other_data_and_nothing_else_is_set(interrupted: Path, tmp_path: Path) -> None:
    recipe, before = (interrupted / "recipe.toml").read_bytes(), stands_at(interrupted)
    np.save(tmp_path / "other.npy", np.random.default_rng(1).normal(size=(160, 2)).astype(np.float32))
    resume, other = ["run", "--resume", str(interrupted), "--device", "cpu"], f"data.path={tmp_path}/other.npy"
    for flags, said in (
        (["--set", other], "its data has changed since it began"),
        (["--set", other, "--set", "train.epochs=3"], "and no --set but data.path"),
        (["--set", "data.stride=4"], "and no --set but data.path"),
    ):
        ended = called([*resume, *flags])
        assert ended.code != 0
        assert said in ended.error
    (interrupted / "environment.json").unlink()
    (tmp_path / "x.npy").rename(tmp_path / "moved.npy")
    assert (
        "does not say which data it began with" in called([*resume, "--set", f"data.path={tmp_path}/moved.npy"]).error
    )
    assert (interrupted / "recipe.toml").read_bytes() == recipe
    assert stands_at(interrupted) == before
