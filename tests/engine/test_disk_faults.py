"""A disk that fails at any call of a whole run: the run goes on, or says why it did not begin.

Whatever a run directory holds: rows, events, diagnostics, status, console, recipe, environment, checkpoints, verdict.
"""

from __future__ import annotations

import errno
import io
import os
import resource
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import pytest
from rich.console import Console

from jepa_core.engine.opening import Conclusion
from jepa_core.errors import JepaError, RunDirectoryError
from jepa_core.presentation.shown_training import train_and_show
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.stored_checkpoints import Checkpoint, newest_verified, stored_checkpoints
from jepa_core.run_directory.writing import LAST_TRIES, RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Watch
from tests.conftest import TINY
from tests.engine.killed_runs import lines, timeless
from tests.engine.test_checkpoint_faults import NUMBERS, FailingDisk, Fault
from tests.engine.test_session import Sessions
from tests.run_directory.test_line_appender import files_of_at_most

FAULTS: list[Fault] = [*NUMBERS, "short write"]
FEW = (
    "train.epochs=1",
    "checkpoint.every_steps=2",
    "diagnostics.every_steps=3",
    "watch.scenarios.throughput_dropped=false",
)


class OwnFile(io.FileIO):
    """Writes as Python programs can: by a call that is looked up in `os`, so that it can fail."""

    def write(self, content: Any) -> int:
        return os.write(self.fileno(), content)


def opened(descriptor: int, mode: str) -> io.BufferedReader | io.BufferedWriter:
    return (
        io.BufferedWriter(OwnFile(descriptor, mode)) if "w" in mode else io.BufferedReader(io.FileIO(descriptor, mode))
    )


def trained(recipe_file: Path, runs_dir: Path, resume: Path | None = None, output: TextIO | None = None) -> Conclusion:
    source = resume / "recipe.toml" if resume else recipe_file
    return train_and_show(
        Console(file=output or io.StringIO()),
        load_recipe(source, overrides=() if resume else FEW, registry=installed()),
        device="cpu",
        runs_dir=runs_dir,
        resume=resume,
        registry=installed(),
    )


def rows_of(run: Path) -> list[dict[str, Any]]:
    return [timeless(row) for row in lines(run / "metrics.jsonl")]


def check_what_is_left(recipe_file: Path, runs_dir: Path, concluded: Conclusion | None, rows: list[Any]) -> None:
    """A run that came to its end has all that any has. Of one that did not another goes on to it, unless it did not
    begin, and says that it failed."""
    for run in runs_in(runs_dir):
        if concluded is None and not stored_checkpoints(run / "checkpoints"):
            assert RunReader(run).state() == "failed"
            continue
        if concluded is None:
            concluded = trained(recipe_file, runs_dir, run)
        assert concluded.ending.kind == "finished"
        assert rows_of(run) == rows
        assert RunReader(run).verdict() == concluded.verdict
        assert {event["step"] for event in lines(run / "events.jsonl") if event["name"] == "finished"} == {6}
        assert not [path for path in run.rglob(".*") if path.is_file()]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Rows of a run in which no call fails."""
    folder = tmp_path_factory.mktemp("straight")
    recipe = folder / "tiny.toml"
    recipe.write_text(TINY)
    return rows_of(trained(recipe, folder / "runs").path)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stride", [97, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_whatever_call_of_a_run_fails_it_goes_on_or_says_why_it_did_not_begin(  # noqa: PLR0917  # what is tried
    tiny_recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    straight: list[Any],
    fault: Fault,
    stride: int,
) -> None:
    monkeypatch.setattr(os, "fdopen", opened)
    # Of each fault other calls fail.
    for at in count(stride // (2 + FAULTS.index(fault)), stride):
        runs_dir, concluded, told = tmp_path / f"{at}", None, ""
        with FailingDisk(runs_dir, at, fault).in_place() as disk:
            try:
                concluded = trained(tiny_recipe_file, runs_dir)
            except JepaError as error:
                told = str(error)
        assert concluded is not None or str(runs_dir) in told
        check_what_is_left(tiny_recipe_file, runs_dir, concluded, straight)
        if disk.calls <= at:
            assert not disk.failed
            assert concluded is not None
            return


def test_what_is_shown_is_left_out_of_the_console_log_where_the_disk_is_full_and_an_event_says_so(
    tmp_path: Path,
) -> None:
    with RunWriter(tmp_path) as run:
        run.event("started", "info", "Training starts.")
        run.console_log.write("epoch 1\n")
        with files_of_at_most(10):
            run.console_log.write("epoch 2\n")
            run.console_log.write("epoch 3\n")
        run.console_log.write("epoch 4\n")
        run.event("finished", "info", "all epochs are done")
    assert (tmp_path / "console.log").read_text() == "epoch 1\nepoch 4\n"
    (failed,) = [event for event in lines(tmp_path / "events.jsonl") if event["name"] == "write failed"]
    assert f"{tmp_path}/console.log cannot be written: No space left on device" in failed["message"]


def test_a_verdict_is_tried_several_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures, sync = [errno.EIO] * (LAST_TRIES - 1), os.fsync

    def refuse(descriptor: int) -> None:
        if failures:
            raise OSError(failures.pop(), "Input/output error")
        sync(descriptor)

    verdict = reach_verdict(Judge(Watch()), run=tmp_path)
    with RunWriter(tmp_path) as run:
        run.pause = 0.0
        monkeypatch.setattr(os, "fsync", refuse)
        run.write_verdict(verdict)
        assert RunReader(tmp_path).verdict() == verdict
        failures += [errno.EIO] * LAST_TRIES
        with pytest.raises(RunDirectoryError, match=r"verdict\.json \(\d+ bytes\) cannot be written"):
            run.write_verdict(verdict)
    assert not list(tmp_path.glob(".*"))


def test_a_disk_that_is_full_for_a_while_costs_no_row_and_no_step(tiny_recipe_file: Path) -> None:
    """Every file is at its limit at once, as on a disk without room."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(step: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 if 2 <= step < 5 else limits[0], limits[1]))

    sessions = Sessions(tiny_recipe_file)
    try:
        concluded = sessions.start("checkpoint.every_steps=2", interfere=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (concluded.ending.kind, concluded.ending.step) == ("finished", 6)
    assert [row["step"] for row in rows_of(concluded.path)] == [1, 2, 3, 4, 5, 6]
    events = lines(concluded.path / "events.jsonl")
    failed = [event["message"] for event in events if event["name"] == "checkpoint failed"]
    assert failed  # that of step 4, and that of step 2 where it was still being written
    assert all("bytes" in message and str(concluded.path) in message for message in failed)
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert newest_verified(concluded.path / "checkpoints").checkpoint == Checkpoint(
        concluded.path / "checkpoints" / "step-6", 6
    )
    assert not [path for path in concluded.path.rglob(".*") if path.is_file()]


def test_a_run_whose_output_goes_to_a_full_disk_or_to_nobody_ends_as_any(
    tiny_recipe_file: Path, tmp_path: Path
) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with Path("/dev/full").open("w") as full, os.fdopen(writes, "w") as pipe:
        for name, output in (("full", full), ("pipe", pipe)):
            concluded = trained(tiny_recipe_file, tmp_path / name, output=output)
            assert concluded.ending.kind == "finished"
            assert "epoch 1/1  step 6" in (concluded.path / "console.log").read_text()
            output.flush()
