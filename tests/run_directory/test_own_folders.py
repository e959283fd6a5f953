"""A run's folders while it is written: what somebody deletes or puts in their place is told, and the run goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from jepa_core.run_directory.bad_batches import BadBatch, bad_batches, write_bad_batch
from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.findings import Finding
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Watch
from tests.run_directory.runs import record_run

OBSTACLES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "a file": Path.touch,
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "a link to a folder": partial(os.symlink, "/tmp"),  # nothing is written there
    "a link to nothing": partial(os.symlink, "/nowhere/at/all"),
}


@pytest.fixture(params=OBSTACLES.values(), ids=list(OBSTACLES))
def obstacle(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    found: Callable[[Path], object] = request.param
    return found


@pytest.mark.parametrize("name", ["checkpoints", "control"])
def test_a_folder_that_is_deleted_or_replaced_is_noticed_within_a_second_and_is_the_run_s_own_again(
    tmp_path: Path, name: str, obstacle: Callable[[Path], object]
) -> None:
    seconds, path, told = [0.0], record_run(tmp_path / "mine"), list[Finding]()
    (path / name).mkdir(exist_ok=True)
    with RunWriter(path, clock=Clock(monotonic=lambda: seconds[0])) as run:
        run.tell_loss = told.append
        shutil.rmtree(path / name)
        obstacle(path / name)
        is_in_the_way = os.path.lexists(path / name) and (not (path / name).is_dir() or (path / name).is_symlink())
        for seconds[0] in (1.5, 3.0):
            run.heartbeat(1, 0.1)
        assert (path / name).is_dir()
        assert not (path / name).is_symlink()
    (lost,) = [event for event in RunReader(path).events() if event.name == "folder lost"]
    assert lost.message.startswith(f"{path / name} was deleted or replaced while the run went on: ")
    aside = [file.name for file in path.iterdir() if file.name.startswith(f"{name}.put-aside-")]
    assert len(aside) == is_in_the_way
    assert all(f"is called {each} now" in lost.message for each in aside)
    assert [(found.name, found.message) for found in told] == [(f"folder lost {name}", lost.message)]
    RunLock(path).release()  # what was put aside is in nobody's way


def test_a_folder_that_never_was_is_nobody_s_loss(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    with RunWriter(path) as run:
        run.look_for_files()
        assert not (path / "control").exists()
        (path / "control").mkdir()
        run.look_for_files()
    assert not [event for event in RunReader(path).events() if event.name == "folder lost"]


def test_what_lies_in_the_place_of_the_folder_of_bad_batches_is_put_aside(
    tmp_path: Path, obstacle: Callable[[Path], object]
) -> None:
    path = record_run(tmp_path / "mine")
    obstacle(path / "bad_batches")
    assert write_bad_batch(path, BadBatch(step=3)) == "bad_batches/step-3.json"
    assert [batch.step for batch in bad_batches(path)] == [3]
    assert not list(Path("/tmp").glob("step-3*"))  # nothing was written there


@pytest.mark.parametrize("obstacle", [os.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_a_verdict_is_written_and_dropped_whatever_lies_in_its_place(
    tmp_path: Path, obstacle: Callable[[Path], object]
) -> None:
    path = record_run(tmp_path / "mine")
    with RunWriter(path) as run:
        run.pause = 0
        for write in (run.drop_verdict, lambda: run.write_verdict(reach_verdict(Judge(Watch()), run=path))):
            obstacle(path / "verdict.json")
            write()
        assert RunReader(path).verdict() is not None
        assert len([file for file in path.iterdir() if file.name.startswith("verdict.json.put-aside-")]) == 2
