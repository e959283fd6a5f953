"""A disk that fails at any call of a save: the old checkpoint is there or the new one, and the next save works."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from jepa_core.engine.checkpoint import CheckpointFolder, load_checkpoint, same_tree
from jepa_core.errors import CheckpointError
from jepa_core.run_directory.stored_checkpoints import newest_verified, stored_checkpoints

CALLS = (
    "open",
    "write",
    "fsync",
    "close",
    "mkdir",
    "rename",
    "replace",
    "unlink",
    "rmdir",
    "scandir",
    "listdir",
    "stat",
)
"""What a save asks of the system, as Python calls it."""

Fault = Literal[
    "no space",
    "I/O error",
    "interrupted",
    "over quota",
    "read-only",
    "stale handle",
    "short write",
    "lost write",
    "crash",
]
NUMBERS: dict[Fault, int] = {
    "no space": errno.ENOSPC,
    "I/O error": errno.EIO,
    "interrupted": errno.EINTR,
    "over quota": errno.EDQUOT,
    "read-only": errno.EROFS,
    "stale handle": errno.ESTALE,
}
KEEP = 2


class Crash(BaseException):
    """The process is gone: nothing that it would have done after it is done."""


class FailingDisk:
    """Fails at one call of a save, counted from 0."""

    def __init__(self, folder: Path, at: int, fault: Fault) -> None:
        self._folder, self._at, self._fault = str(folder), at, fault
        self._places: dict[int, str] = {}
        self._read_only: set[int] = set()
        """Descriptors whose closing cannot fail."""
        self.calls = 0
        """That could have failed so, up to now."""
        self.crashed = self.failed = False

    @contextmanager
    def in_place(self) -> Iterator[FailingDisk]:
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._failing(name, getattr(os, name)))
            yield self

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            if not self._is_ours(given, more):
                return real(*given, **more)
            if self.crashed:
                raise Crash
            if name == "close" and given[0] in self._read_only:
                return self._noted(name, real(*given, **more), given)
            number = self.calls
            self.calls += self._fault not in {"short write", "lost write"} or name == "write"
            if number == self._at < self.calls:
                self.failed = True
                return self._fail(name, real, given, more)
            return self._noted(name, real(*given, **more), given)

        return call

    def _is_ours(self, given: tuple[Any, ...], more: dict[str, Any]) -> bool:
        if not given:
            return False
        place = given[0]
        if isinstance(place, int):
            return place in self._places
        return more.get("dir_fd") in self._places or os.fspath(place).startswith(self._folder)

    def _noted(self, name: str, result: Any, given: tuple[Any, ...]) -> Any:
        """Remember which descriptors are ours."""
        if name == "open":
            self._places[result] = str(given[0])
            self._read_only |= set() if given[1] & (os.O_WRONLY | os.O_RDWR) else {result}
        elif name == "close":
            del self._places[given[0]]
            self._read_only.discard(given[0])
        return result

    def _fail(self, name: str, real: Callable[..., Any], given: tuple[Any, ...], more: dict[str, Any]) -> Any:
        if self._fault == "crash":
            self.crashed = True
            raise Crash
        if name == "close":
            # Closed it is, whatever it says.
            self._noted(name, real(*given, **more), given)
        if name == "write" and self._fault in {"short write", "lost write"}:
            descriptor, content = given
            written: int = real(descriptor, content[: len(content) // 2])
            return written if self._fault == "short write" else len(content)
        if name == "write" and self._fault == "no space":
            real(given[0], given[1][: len(given[1]) // 2])
        number = NUMBERS[self._fault]
        raise OSError(number, os.strerror(number))


def a_state(number: int) -> dict[str, Any]:
    return {"online": {"w": torch.arange(6.0) + number}, "progress": {"step": number % 100}}


def a_folder(folder: Path, *steps: int) -> CheckpointFolder:
    checkpoints = CheckpointFolder(folder, KEEP)
    for step in steps:
        checkpoints.save(step, a_state(step))
    return checkpoints


def saved_and_pruned(checkpoints: CheckpointFolder, step: int, state: dict[str, Any]) -> None:
    checkpoints.save(step, state)
    checkpoints.prune(best_step=None)


def check_what_is_left(folder: Path, old: dict[str, Any], new: dict[str, Any], *, at_least: int) -> None:
    newest = newest_verified(folder).checkpoint
    assert newest is not None
    found = load_checkpoint(newest)
    assert same_tree(found, old) or same_tree(found, new)
    verified = [checkpoint for checkpoint in stored_checkpoints(folder) if checkpoint.verify() is None]
    assert len(verified) >= at_least


def try_every_call(tmp_path: Path, step: int, new: dict[str, Any], fault: Fault, stride: int) -> int:
    """Save once for each call that can fail, until none does; how many there are."""
    template = tmp_path / "template"
    a_folder(template, 1, 2)
    for at in count(0, stride):
        folder = tmp_path / f"{at}"
        shutil.copytree(template, folder)
        with FailingDisk(folder, at, fault).in_place() as disk, suppress(CheckpointError, Crash):
            saved_and_pruned(CheckpointFolder(folder, KEEP), step, new)
            assert fault != "lost write" or not disk.failed, "a write that was lost was not noticed"
        check_what_is_left(folder, a_state(2), new, at_least=2)
        if fault == "short write" and disk.failed:
            assert not any(path.name.startswith(".") for path in folder.iterdir())
        if disk.calls <= at:
            assert not disk.failed
            return at
        again = CheckpointFolder(folder, KEEP)
        saved_and_pruned(again, 9, a_state(9))
        newest, faults = again.newest()
        assert (newest and newest.step, faults) == (9, [])
        assert not any(path.name.startswith(".") for path in folder.iterdir()), "a stump is left"
        shutil.rmtree(folder)
    raise AssertionError


STRIDES = [5, pytest.param(1, marks=pytest.mark.slow)]


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("fault", [*NUMBERS, "crash"])
@pytest.mark.parametrize("step", [3, 2], ids=["a further step", "the same step again"])
def test_whatever_call_of_a_save_fails_the_old_checkpoint_is_there_or_the_new_one(
    tmp_path: Path, step: int, fault: Fault, stride: int
) -> None:
    assert try_every_call(tmp_path, step, a_state(100 + step), fault, stride) > 30


@pytest.mark.parametrize("fault", ["short write", "lost write"])
def test_a_disk_that_writes_less_than_it_was_given_makes_no_checkpoint_that_verifies_and_is_not_whole(
    tmp_path: Path, fault: Fault
) -> None:
    assert try_every_call(tmp_path, 3, a_state(103), fault, stride=1) == len(
        ["header", "tensors", "values", "manifest"]
    )
