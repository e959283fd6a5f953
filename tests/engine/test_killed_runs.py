"""A run that gets signals at random instants ends as one does that never got any."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.test_session import Sessions

LONG = [pytest.mark.slow, pytest.mark.timeout(3600)]


def left_by_signals(folder: Path, number: int, *signals: str) -> str:
    """The last line of a driver that has compared every run with one that got no signal."""
    driver = [sys.executable, "-m", "tests.engine.killed_runs", str(number), str(folder), "--signals", *signals]
    done = subprocess.run(driver, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("number", [20, pytest.param(300, marks=LONG)])
def test_whenever_a_run_is_killed_it_ends_with_the_state_rows_and_verdict_of_one_that_never_was(
    tmp_path: Path, number: int
) -> None:
    assert " 0 differ" in left_by_signals(tmp_path / "runs", number, "SIGKILL")


@pytest.mark.parametrize("number", [5, pytest.param(100, marks=LONG)])
def test_whenever_a_run_is_asked_to_stop_or_save_it_loses_no_finished_step_and_ends_as_one_that_never_was(
    tmp_path: Path, number: int
) -> None:
    assert " 0 differ" in left_by_signals(tmp_path / "runs", number, "SIGTERM", "SIGINT", "SIGUSR1")


def test_a_run_that_was_killed_while_it_deleted_its_last_old_checkpoint_finishes_that(tiny_recipe_file: Path) -> None:
    sessions = Sessions(tiny_recipe_file)
    run = sessions.start("checkpoint.every_steps=1", "checkpoint.keep=2").path
    folder = run / "checkpoints"
    whole = sorted(path.name for path in folder.iterdir())
    (folder / "step-3").mkdir()
    (folder / "step-3" / "manifest.json").write_bytes((folder / "step-6" / "manifest.json").read_bytes())
    (folder / ".step-6.partial").mkdir()
    (run / "verdict.json").unlink()
    assert sessions.resume(run).ending.kind == "finished"
    assert sorted(path.name for path in folder.iterdir()) == whole
