"""Makes children of a run, each in a process that is killed just before another of its file operations.

    python -m tests.rollback.killed_rollback RUNS_DIR FOLDER STRIDE      of a run that no process trains
    python -m tests.rollback.killed_rollback RECIPE FOLDER STRIDE        by a rule, of a run that the process trains

Every `STRIDE`th operation gets a folder of runs in FOLDER, named by the operation's number; the last is not killed.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from jepa_core.engine.session import train_recipe
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import Registry, installed
from jepa_core.rollback.child import Child, make_child
from jepa_core.rollback.orders import RollbackOrders
from jepa_core.rollback.planning import plan_rollback
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.writing import RunWriter
from tests.engine.test_session import Watcher

_CHANGING = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}
_WRITING = os.O_WRONLY | os.O_RDWR


def make_children(source: Path, folder: Path, stride: int) -> None:
    registry = installed()
    importlib.import_module("torch._dynamo")  # takes long, and each fork would load it for itself
    for number in count(1, stride):
        runs_dir = folder / f"{number:04}"
        if source.is_file():
            make = partial(train_until, number, source, runs_dir, registry)
        else:
            shutil.copytree(source, runs_dir)
            (parent,) = runs_in(runs_dir)
            make = partial(make_until, number, parent, registry)
        if was_whole(make):
            return


def make_until(number: int, parent: Path, registry: Registry) -> None:
    """Make a child in a process that is killed before its file operation of this number."""
    rollback = plan_rollback(parent, registry, to=3, set={"train": {"clip_norm": 1.0}})
    sys.addaudithook(killer(number))
    make_child(rollback)


def train_until(number: int, recipe: Path, runs_dir: Path, registry: Registry) -> None:
    """Train until a rule rolls the run back, and be killed before this file operation of its rollback."""
    carry_out = RollbackOrders.carry_out

    def killed(orders: RollbackOrders, writer: RunWriter) -> Child:
        sys.addaudithook(killer(number))
        return carry_out(orders, writer)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RollbackOrders, "carry_out", killed)
        loaded = load_recipe(recipe, registry=registry)
        train_recipe(loaded, device="cpu", runs_dir=runs_dir, resume=None, open_screen=Watcher, auto_rollback=True)


def killer(number: int) -> Callable[[str, tuple[object, ...]], None]:
    """Kills this process before its file operation of this number."""
    operations = count(1)

    def heed(event: str, details: tuple[object, ...]) -> None:
        changes = event in _CHANGING or (event == "open" and isinstance(details[2], int) and details[2] & _WRITING)
        if changes and next(operations) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return heed


def was_whole(make: Callable[[], None]) -> bool:
    """Whether it came to its end, in a process of its own."""
    process = os.fork()
    if not process:
        try:
            make()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFEXITED(status)


if __name__ == "__main__":
    make_children(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
