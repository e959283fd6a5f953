"""What a disk, a copy or a person does to a checkpoint: it is found, and the one before is used."""

from __future__ import annotations

import os
import random
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import jepa_core as jepa
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.run_directory.stored_checkpoints import FILES, MANIFEST, Checkpoint, newest_verified
from tests.engine.test_checkpoint import a_state
from tests.engine.training import RecipeMaker, a_trainer, snapshot, take_steps

TENSORS, VALUES = FILES
NOBODY = 65534


@pytest.fixture
def checkpoint(tiny_recipe: RecipeMaker, tmp_path: Path) -> Checkpoint:
    """Of all state of a run after a step."""
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=9)
    return folder.save(1, snapshot(take_steps(a_trainer(tiny_recipe(), tmp_path), 1)))


def unnoticed(checkpoint: Checkpoint, name: str, bits: Iterator[int]) -> list[int]:
    """Those bits of a file that can be flipped without being found."""
    descriptor = os.open(checkpoint.path / name, os.O_RDWR)
    found = []
    try:
        for bit in bits:
            (byte,) = os.pread(descriptor, 1, bit // 8)
            os.pwrite(descriptor, bytes([byte ^ 1 << bit % 8]), bit // 8)
            if checkpoint.verify() is None:
                found.append(bit)
            os.pwrite(descriptor, bytes([byte]), bit // 8)
    finally:
        os.close(descriptor)
    assert checkpoint.verify() is None
    return found


def test_one_flipped_bit_in_any_byte_of_the_manifest_is_found(checkpoint: Checkpoint) -> None:
    draws = random.Random(1)
    size = (checkpoint.path / MANIFEST).stat().st_size
    assert unnoticed(checkpoint, MANIFEST, (8 * byte + draws.randrange(8) for byte in range(size))) == []


@pytest.mark.slow
def test_every_flipped_bit_of_the_manifest_is_found(checkpoint: Checkpoint) -> None:
    size = (checkpoint.path / MANIFEST).stat().st_size
    assert unnoticed(checkpoint, MANIFEST, iter(range(8 * size))) == []


@pytest.mark.parametrize("count", [100, pytest.param(2500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_at_a_random_place_is_found(checkpoint: Checkpoint, name: str, count: int) -> None:
    draws = random.Random(count)
    size = (checkpoint.path / name).stat().st_size
    assert unnoticed(checkpoint, name, (draws.randrange(8 * size) for _ in range(count))) == []


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def replaced(put: Callable[[Path], object]) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        path.unlink()
        put(path)

    return make


def of_another_step(path: Path) -> None:
    shutil.copyfile(path.parent.with_name("step-1") / path.name, path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": rewritten(lambda _: b""),
    "one byte": rewritten(lambda content: content[:1]),
    "half": rewritten(lambda content: content[: len(content) // 2]),
    "a byte short": rewritten(lambda content: content[:-1]),
    "a byte long": rewritten(lambda content: content + b"0"),
    "zeros": rewritten(lambda content: bytes(len(content))),
    "turned round": rewritten(lambda content: content[::-1]),
    "of another step": of_another_step,
    "a folder": replaced(Path.mkdir),
    "a pipe": replaced(os.mkfifo),
    "a link to nowhere": replaced(lambda path: path.symlink_to("nowhere")),
    "a link to itself": replaced(lambda path: path.symlink_to(path.name)),
    "a link to a device": replaced(lambda path: path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_checkpoint_before_is_used_and_with_none_there_is_none(tmp_path: Path, name: str, damage: str) -> None:
    folder = CheckpointFolder(tmp_path, keep=9)
    older, newer = folder.save(1, a_state(1)), folder.save(2, a_state(2))
    DAMAGES[damage](newer.path / name)
    newest = newest_verified(tmp_path)
    assert newest.checkpoint == older
    (fault,) = newest.faults
    assert fault.startswith("step-2: ")
    assert name in fault
    shutil.rmtree(older.path)
    assert newest_verified(tmp_path).checkpoint is None


@contextmanager
def as_somebody() -> Iterator[None]:
    """Without the rights of the root user, who reads everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_file_that_may_not_be_read_is_told_as_such(name: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        checkpoint = CheckpointFolder(Path(place), keep=9).save(1, a_state(1))
        (checkpoint.path / name).chmod(0)
        with as_somebody():
            assert checkpoint.verify() == f"{name} cannot be read: Permission denied"


def test_all_files_and_folders_of_a_run_have_the_modes_that_the_umask_says(
    tiny_recipe_file: Path, tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        run = jepa.train(tiny_recipe_file, device="cpu", runs_dir=tmp_path / "runs").path
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in run.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o750}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o640}
    assert {*FILES, MANIFEST} <= {path.name for path in modes}
