"""Checkpoints are written beside training: what is on disk and what is told do not depend on how long it takes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from jepa_core.engine.checkpoint import CheckpointFolder, NotDeletedError, load_checkpoint, same_tree
from jepa_core.engine.checkpoint_writing import CheckpointWriting
from jepa_core.engine.interruption import Interruption
from jepa_core.engine.opening import Conclusion
from jepa_core.engine.session import train_recipe
from jepa_core.errors import CheckpointError
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from jepa_core.rollback.lineage import read_lineage
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from tests.engine.test_session import Watcher
from tests.engine.training import CPU, RARE, KeptRecord, RecipeMaker, a_trainer, snapshot, take_steps, train

LONGEST = 20.0
"""Seconds that anything here waits for something that never comes."""


class HeldDisk(CheckpointFolder):
    """Writes only when it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, keep=100)
        self.let = threading.Event()
        self.was_let: list[bool] = []

    def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
        self.was_let.append(self.let.wait(LONGEST))
        return super().save(step, states)


class SlowDisk(CheckpointFolder):
    """Takes its time, and refuses some steps."""

    def __init__(self, folder: Path, *refused: int) -> None:
        super().__init__(folder, keep=100)
        self.refused = refused

    def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
        time.sleep(0.3)
        if step in self.refused:
            raise CheckpointError(f"Checkpoint step-{step} could not be written: No space left on device.")
        return super().save(step, states)


def test_training_goes_on_while_the_state_of_the_save_is_written(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    recipe = tiny_recipe(*RARE, "checkpoint.every_steps=2")
    record, disk = KeptRecord(), HeldDisk(tmp_path / "held")
    record.after_heartbeat = lambda step: disk.let.set() if step == 3 else None
    trainer = a_trainer(recipe, tmp_path, record=record)
    trainer.checkpoints = disk
    train(trainer)
    assert disk.was_let == [True, True, True]
    at_two = snapshot(take_steps(a_trainer(recipe, tmp_path), 2), "meters")
    saved = load_checkpoint(disk.all()[0])
    del saved["meters"]
    assert same_tree(saved, at_two)
    assert record.named("checkpoint") == [f"Checkpoint at step {step}." for step in (2, 4, 6)]


def test_a_write_is_told_of_when_it_has_ended_and_the_next_waits_for_it(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    record, disk = KeptRecord(), SlowDisk(tmp_path, 4)
    there: list[tuple[int, list[int]]] = []
    record.after_heartbeat = lambda _: there.append((len(record.events), [found.step for found in disk.all()]))
    trainer = a_trainer(tiny_recipe(*RARE, "checkpoint.every_steps=1"), tmp_path, record=record)
    trainer.checkpoints = disk
    train(trainer)
    names = ["checkpoint failed" if step == 4 else "checkpoint" for step in range(1, 7)]
    assert [name for name, _, _ in record.events] == names
    assert there[:3] == [(0, []), (1, [1]), (2, [1, 2])]
    assert [found.step for found in disk.all()] == [1, 2, 3, 5, 6]


def test_a_failure_in_training_waits_for_the_write_and_tells_of_it(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    def fail(step: int) -> None:
        if step == 2:
            raise ZeroDivisionError

    record, disk = KeptRecord(), SlowDisk(tmp_path)
    record.after_heartbeat = fail
    trainer = a_trainer(tiny_recipe(*RARE, "checkpoint.every_steps=2"), tmp_path, record=record)
    trainer.checkpoints = disk
    with pytest.raises(ZeroDivisionError):
        train(trainer)
    assert [found.step for found in disk.all()] == [2]
    assert record.named("checkpoint") == ["Checkpoint at step 2."]


def test_a_second_ctrl_c_in_a_notebook_ends_training_and_not_the_write(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    def interrupt_twice(step: int) -> None:
        if step == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    record, disk = KeptRecord(), SlowDisk(tmp_path)
    record.after_heartbeat = interrupt_twice
    trainer = a_trainer(tiny_recipe(*RARE, "checkpoint.every_steps=2"), tmp_path, record=record)
    trainer.checkpoints = disk
    with Interruption(owns_process=False) as interruption:
        interruption.wait_for_steps()
        with pytest.raises(KeyboardInterrupt):
            trainer.train(interruption)
    assert [found.step for found in disk.all()] == [2]


def test_whatever_a_write_raises_is_told_of_and_ends_the_run_where_it_was_the_last(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    class Broken(CheckpointFolder):
        def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
            raise ZeroDivisionError

    record = KeptRecord()
    trainer = a_trainer(tiny_recipe("checkpoint.every_steps=2"), tmp_path, record=record)
    trainer.checkpoints, trainer.saving.pause = Broken(tmp_path, keep=2), 0.0
    with pytest.raises(CheckpointError, match="step 6 could not be written: ZeroDivisionError"):
        train(trainer)
    assert trainer.steps_done == 6
    assert len(record.named("checkpoint failed")) >= 3


def test_a_rollback_waits_for_the_checkpoint_that_it_goes_back_to(
    tiny_recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = CheckpointFolder.save

    def slowly(self: CheckpointFolder, step: int, states: Mapping[str, Any]) -> Checkpoint:
        time.sleep(0.5)
        return save(self, step, states)

    monkeypatch.setattr(CheckpointFolder, "save", slowly)
    rule = "watch.rollback=[{id='R', when='step > 2.5', set={aggregator={kind='mean'}}}]"
    overrides = [rule, "checkpoint.every_steps=2", "diagnostics.every_steps=1000"]
    concluded: Conclusion = train_recipe(
        load_recipe(tiny_recipe_file, overrides=overrides, registry=installed()),
        device="cpu",
        runs_dir=tiny_recipe_file.parent / "runs",
        resume=None,
        open_screen=Watcher,
        auto_rollback=True,
    )
    assert concluded.child is not None
    lineage = read_lineage(concluded.child)
    assert lineage is not None
    assert (concluded.ending.step, lineage.step) == (3, 2)


def test_later_changes_do_not_reach_a_copy(tmp_path: Path) -> None:
    folder, let = CheckpointFolder(tmp_path, keep=2), threading.Event()
    state = {"weights": torch.zeros(3), "names": ["a"], "best": {"step": 1}}

    def write(states: Mapping[str, Any]) -> None:
        assert let.wait(LONGEST)
        folder.save(1, states)

    writing = CheckpointWriting(CPU)
    writing.begin(1, {"entry": state}, write)
    assert writing.outcome(waits=False) is None
    state["weights"].add_(1)  # type: ignore[attr-defined]  # a tensor
    state["names"].append("b")  # type: ignore[attr-defined]  # a list
    state["best"]["step"] = 2  # type: ignore[index]  # a dictionary
    let.set()
    written = writing.outcome(waits=True)
    assert written is not None
    assert written.error is None
    expected = {"entry": {"weights": torch.zeros(3), "names": ["a"], "best": {"step": 1}}}
    assert same_tree(load_checkpoint(folder.all()[0]), expected)
    assert writing.outcome(waits=True) is None


def test_without_room_for_a_copy_on_the_device_it_is_made_on_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: list[torch.Tensor]) -> torch.Tensor:
        raise torch.OutOfMemoryError

    folder, state = CheckpointFolder(tmp_path, keep=2), {"weights": torch.arange(3.0)}
    monkeypatch.setattr(torch, "cat", refuse)
    writing = CheckpointWriting(CPU)
    writing.begin(1, state, lambda states: folder.save(1, states))
    assert writing.outcome(waits=True) is not None
    assert same_tree(load_checkpoint(folder.all()[0]), state)


@pytest.mark.cuda
def test_on_cuda_the_copy_is_of_the_state_at_the_save_though_the_device_is_behind(tmp_path: Path) -> None:
    device, folder = torch.device("cuda"), CheckpointFolder(tmp_path, keep=2)
    weights, other = torch.zeros(1 << 20, device=device), torch.randn(4096, 4096, device=device)
    for _ in range(200):  # keeps the device busy: the host comes to the save long before it
        other = other @ other / other.norm()
    weights.fill_(1)
    writing = CheckpointWriting(device)
    writing.begin(1, {"weights": weights}, lambda states: folder.save(1, states))
    weights.fill_(2)
    assert writing.outcome(waits=True) is not None
    assert same_tree(load_checkpoint(folder.all()[0]), {"weights": torch.ones(1 << 20)})


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import torch
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.engine.checkpoint_writing import CheckpointWriting

folder = CheckpointFolder(Path(sys.argv[1]), keep=2)
writing = CheckpointWriting(torch.device("cpu"))

def write(states):
    time.sleep(0.3)
    folder.save(2, states)

folder.save(1, {"weights": torch.ones(3)})
writing.begin(2, {"weights": torch.ones(3)}, write)
"""


def left_by(ending: str, folder: Path, *, code: int) -> tuple[list[int], list[str]]:
    """Steps of checkpoints that verify, and all names, after a process that ended so with a write under way."""
    done = subprocess.run([sys.executable, "-c", SCRIPT + ending, folder], capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    whole = [found.step for found in CheckpointFolder(folder, keep=2).all() if found.verify() is None]
    return whole, sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("ending", "code"), [("", 0), ("sys.exit(4)", 4), ("raise KeyboardInterrupt", -2)])
def test_a_process_that_ends_waits_for_the_write(tmp_path: Path, ending: str, code: int) -> None:
    assert left_by(ending, tmp_path, code=code) == ([1, 2], ["step-1", "step-2"])


KILLED = """
Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
time.sleep(20)
"""


def test_a_kill_during_the_write_leaves_the_checkpoint_before_and_no_half_one(tmp_path: Path) -> None:
    assert left_by(KILLED, tmp_path, code=-9) == ([1], [".step-2.partial", "step-1"])


def test_nothing_is_written_twice_at_once() -> None:
    let = threading.Event()
    writing = CheckpointWriting(CPU)
    writing.begin(1, {}, lambda _: let.wait(LONGEST))
    with pytest.raises(AssertionError, match="two checkpoints"):
        writing.begin(2, {}, lambda _: None)
    let.set()
    assert writing.outcome(waits=True) is not None


def test_old_checkpoints_that_cannot_be_deleted_are_a_warning_and_training_goes_on(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    class Stuck(CheckpointFolder):
        def prune(self, best_step: int | None, healthy_before: Iterable[float] = ()) -> list[int]:
            raise NotDeletedError("Old checkpoints could not be deleted.")

    trainer = a_trainer(tiny_recipe("checkpoint.every_steps=2"), tmp_path)
    trainer.checkpoints = Stuck(tmp_path, keep=2)
    ending = train(trainer)

    record = trainer.record
    assert isinstance(record, KeptRecord)
    assert ending.kind == "finished"
    assert not record.named("checkpoint failed")
    assert len(record.named("checkpoint")) == len(record.named("checkpoints not deleted")) > 1
