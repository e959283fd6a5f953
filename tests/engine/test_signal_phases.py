"""A stop in the phases of a run that last long or come last: imports, what comes before the first step, validation, the
last checkpoint, the verdict."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest

from jepa_core.cli import main
from jepa_core.engine.checkpoint import CheckpointFolder, load_checkpoint, same_tree
from jepa_core.engine.evaluation import Validation
from jepa_core.engine.interruption import Interruption
from jepa_core.engine.opening import Opening
from jepa_core.engine.session import train_recipe
from jepa_core.exit_codes import explained
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from tests.conftest import TINY, VECTORS
from tests.engine.test_session import Watcher
from tests.engine.training import KeptRecord, RecipeMaker, a_trainer, take_steps

STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]

IMPORTING = """
import importlib.abc, os, sys

class Sender(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            print("sent", flush=True)
            os.kill(os.getpid(), int(sys.argv[2]))

sys.meta_path.insert(0, Sender())
from jepa_core.cli import main
main(sys.argv[3:])
"""


@pytest.mark.parametrize(
    ("module", "number", "code"),
    [
        ("cyclopts", signal.SIGINT, 130),
        ("torch", signal.SIGINT, 130),
        ("cyclopts", signal.SIGTERM, -signal.SIGTERM),
        ("torch", signal.SIGTERM, -signal.SIGTERM),
        ("torch", signal.SIGHUP, -signal.SIGHUP),
        ("jepa_core.engine.session", signal.SIGINT, 130),
    ],
)
def test_a_stop_while_the_program_is_imported_ends_it_at_once_and_leaves_nothing(
    tiny_recipe_file: Path, tmp_path: Path, module: str, number: signal.Signals, code: int
) -> None:
    """A shell shows −15 as 143."""
    command = [sys.executable, "-c", IMPORTING, module, str(int(number)), "run", str(tiny_recipe_file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "sent\n", f"{explained((), 128 + number)}\n")
    assert [path.name for path in tmp_path.iterdir()] == [tiny_recipe_file.name]


KILLED = """
import os, signal, sys
from pathlib import Path
from jepa_core.cli import main

event, name, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
met = 0

def look(happened, given):
    global met
    names = [Path(str(part)).name for part in given[:2]] if happened == event else []
    if name in names and any(Path("runs").glob("*/status.json")):
        met += 1
        if met == number:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(look)
main(["run", "vectors.toml", "--device", "cpu", "--set", "train.epochs=2"])
"""


@pytest.mark.parametrize(
    "killed_at",
    [("open", "data.npy", "1"), ("os.rename", "environment.json", "2"), ("os.rename", "environment.json", "3")],
    ids=["reading data", "data are read", "nulls are ranked"],
)
def test_a_run_that_was_killed_before_its_first_step_is_begun_anew_by_what_each_command_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], killed_at: tuple[str, ...]
) -> None:
    """By an audit event of Python, a name among its arguments, and which of them."""
    monkeypatch.chdir(tmp_path)
    np.save("data.npy", np.random.default_rng(0).normal(size=(80, 3, 4)).astype(np.float32))
    Path("vectors.toml").write_text(VECTORS.format(path="data.npy"))
    killed = subprocess.run([sys.executable, "-c", KILLED, *killed_at], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (run,) = Path("runs").iterdir()
    anew = f"jepa run {run}/recipe.toml"
    for typed, code in ((["run", "--resume", "latest"], 1), (["autopsy", "latest"], 0)):
        with pytest.raises(SystemExit, match=str(code)):
            main(typed)
        printed = capsys.readouterr()
        assert anew in " ".join((printed.out + printed.err).split())
    with pytest.raises(SystemExit, match="0"):
        main([*anew.split()[1:], "--device", "cpu"])
    (again,) = set(Path("runs").iterdir()) - {run}
    assert RunReader(again).state() == "finished"
    recipe = load_recipe(again / "recipe.toml", registry=installed())
    assert (recipe.recipe.train.epochs, recipe.data_path) == (2, str(tmp_path / "data.npy"))


@pytest.mark.parametrize(("number", "code"), STOPS)
def test_a_stop_during_validation_keeps_its_row_and_the_step(
    tiny_recipe: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    code: int,
) -> None:
    recipe = tiny_recipe("diagnostics.validate_every_epochs=0.5", "diagnostics.every_steps=1000")
    measured = Validation.__call__

    def measure(self: Validation, *given: Any, **more: Any) -> dict[str, float]:
        signal.raise_signal(number)
        return measured(self, *given, **more)

    monkeypatch.setattr(Validation, "__call__", measure)
    trainer = a_trainer(recipe, tmp_path, record=(record := KeptRecord()))
    with Interruption() as interruption:
        interruption.wait_for_steps()
        ending = trainer.train(interruption)
    assert (ending.kind, ending.step, ending.exit_code) == ("interrupted", 3, code)
    assert [found.step for found in trainer.checkpoints.all()] == [3]
    assert "val.retrieval.mrr" in record.rows[-1]
    assert record.rows[-1]["step"] == 3


class StoppedWhileItSaves(CheckpointFolder):
    """Gets a stop within its last save."""

    def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
        signal.raise_signal(signal.SIGTERM)
        return super().save(step, states)


def test_a_stop_during_the_last_save_loses_nothing(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    recipe = tiny_recipe("checkpoint.every_epochs=1000")
    trainer = a_trainer(recipe, tmp_path / "stopped")
    trainer.checkpoints = StoppedWhileItSaves(tmp_path / "stopped", keep=2)
    with Interruption() as interruption:
        interruption.wait_for_steps()
        ending = trainer.train(interruption)
    assert (ending.kind, ending.step) == ("finished", 6)
    saved = load_checkpoint(trainer.checkpoints.all()[-1])
    straight = take_steps(a_trainer(recipe, tmp_path / "straight"), 6)
    for name in ("online", "target", "losses", "optimizer"):
        assert same_tree(saved[name], straight.state.read()[name])


class StoppedAfterTraining(Watcher):
    """Gets a stop once all steps are done, while the verdict is still to be reached."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_stop_while_the_verdict_is_reached_does_not_keep_a_finished_run_from_it(tiny_recipe_file: Path) -> None:
    def open_screen(opening: Opening) -> Watcher:
        return StoppedAfterTraining(opening)

    concluded = train_recipe(
        load_recipe(tiny_recipe_file, registry=installed()),
        device="cpu",
        runs_dir=tiny_recipe_file.parent / "runs",
        resume=None,
        open_screen=open_screen,
    )
    assert concluded.verdict is not None
    assert RunReader(concluded.path).state() == "finished"
    assert RunReader(concluded.path).verdict() == concluded.verdict


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="steps are compiled with a C++ compiler here")
def test_a_stop_while_the_step_is_compiled_is_answered_at_once_and_a_second_ends_it(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    flags = ["--device", "cpu", "--no-audit", "--set", "train.compile=true", "--set", "checkpoint.every_steps=1"]
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "TERM": "dumb"}
    command = [sys.executable, "-m", "jepa_core", "run", "tiny.toml", *flags]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **output) as run:  # type: ignore[call-overload]
        next(line for line in run.stdout if "it is compiled" in line)
        time.sleep(3)  # within the compiler
        began = time.monotonic()
        run.send_signal(signal.SIGTERM)
        assert "Stopping once the step is compiled" in next(line for line in run.stdout if "Stopping" in line)
        run.send_signal(signal.SIGTERM)
        rest = run.stdout.read()
        assert run.wait() == 143
    assert time.monotonic() - began < 4
    assert "Ended at once" in rest
    (left,) = (tmp_path / "runs").iterdir()
    assert (left / "recipe.toml").is_file()
