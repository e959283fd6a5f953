"""Run directories of strangers, in which a pipe or a device stands for a file: nothing waits, and it is said."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shlex
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import NotPlainError, own_descriptor, plain_descriptor, read_plain
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.layers import read_file_layers
from jepa_core.rollback.lineage import read_lineage
from jepa_core.run_directory.layout import (
    CHECKPOINTS,
    CONSOLE,
    DIAGNOSTICS,
    ENVIRONMENT,
    EVENTS,
    LOCK,
    METRICS,
    RECIPE,
    ROLLBACK,
    STATUS,
    VERDICT,
)
from jepa_core.run_directory.lock import is_locked
from jepa_core.run_directory.reading import RecordedRows, RunReader
from jepa_core.run_directory.replacing import is_put_aside, replace_file
from jepa_core.run_directory.stored_checkpoints import FILES, MANIFEST, stored_checkpoints
from jepa_core.run_directory.writing import RunWriter
from tests.run_directory.runs import record_run, validation


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


KINDS = [pipe, endless, Path.mkdir]
NOT_PLAIN = r"it is (no plain file|a symbolic link, which could lead anywhere)"
Put = Callable[[Path], None]


@pytest.fixture(autouse=True)
def nobody_waits() -> Iterator[None]:
    """A test that would hang fails."""

    def fail(*_: object) -> None:
        pytest.fail("waits for a pipe")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def run_with(folder: Path, name: str, put: Put) -> Path:
    """A run in which one file is something else."""
    path = record_run(folder / "run", [validation(1, 1.0, 0.4)])
    (path / name).unlink(missing_ok=True)
    put(path / name)
    return path


@pytest.mark.parametrize("put", [*KINDS, bound_socket])
def test_only_plain_files_and_links_to_them_are_opened(
    tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "other")
    for flags in (os.O_RDONLY, os.O_WRONLY | os.O_APPEND):
        with pytest.raises(NotPlainError, match="it is no plain file"):
            plain_descriptor(tmp_path / "other", flags, follow_links=True)
        with pytest.raises(NotPlainError, match=NOT_PLAIN):
            plain_descriptor(tmp_path / "other", flags)
    with pytest.raises(NotPlainError, match=r"it is no plain file|it is a symbolic link"):
        own_descriptor(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    (tmp_path / "plain").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("plain")
    assert read_plain(tmp_path / "link", 5, follow_links=True) == b"12345"
    with pytest.raises(ValueError, match="larger than"):
        read_plain(tmp_path / "link", 4, follow_links=True)
    with pytest.raises(NotPlainError, match="it is a symbolic link"):
        read_plain(tmp_path / "link", 5)


@pytest.mark.parametrize("put", KINDS)
def test_rows_and_events_are_refused_and_whoever_polls_gets_none(tmp_path: Path, put: Put) -> None:
    reader = RunReader(run_with(tmp_path, METRICS, put))
    for rows in (reader.rows(), iter(RecordedRows(reader.path / METRICS))):
        with pytest.raises(RunDirectoryError, match=rf"metrics\.jsonl cannot be read: {NOT_PLAIN}\.$"):
            list(rows)
    assert reader.poll().rows == ()
    other = RunReader(run_with(tmp_path / "other", EVENTS, put))
    with pytest.raises(RunDirectoryError, match=rf"events\.jsonl cannot be read: {NOT_PLAIN}\.$"):
        list(other.events())
    assert other.poll().events == ()


@pytest.mark.parametrize("put", KINDS)
def test_side_files_count_as_damaged(tmp_path: Path, put: Put) -> None:
    assert RunReader(run_with(tmp_path / "a", STATUS, put)).state() == "unknown"
    assert RunReader(run_with(tmp_path / "b", ENVIRONMENT, put)).environment() == {}
    assert RunReader(run_with(tmp_path / "c", RECIPE, put)).recipe() == {}
    assert read_lineage(run_with(tmp_path / "d", ROLLBACK, put)) is None
    assert not is_locked(run_with(tmp_path / "e", LOCK, put))
    with pytest.raises(RunDirectoryError, match=rf"verdict\.json cannot be read: {NOT_PLAIN}\.$"):
        RunReader(run_with(tmp_path / "f", VERDICT, put)).verdict()


@pytest.mark.parametrize("put", KINDS)
def test_a_recipe_is_refused_for_what_it_is(tmp_path: Path, put: Put) -> None:
    with pytest.raises(RecipeFaultsError) as caught:
        read_file_layers(run_with(tmp_path, RECIPE, put) / RECIPE)
    assert re.fullmatch(f"cannot be read: ({NOT_PLAIN}|it is a folder)", caught.value.faults[0].message)


@pytest.mark.parametrize("put", KINDS)
@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_checkpoint_is_refused_by_the_files_name(tmp_path: Path, name: str, put: Put) -> None:
    folder = tmp_path / CHECKPOINTS
    CheckpointFolder(folder, keep=1).save(8, {})
    (folder / "step-8" / name).unlink()
    put(folder / "step-8" / name)
    said = stored_checkpoints(folder)[0].verify()
    assert said is not None
    assert re.match(f"{name} (cannot be read: {NOT_PLAIN}$|is damaged: )", said)


WRITTEN = (METRICS, EVENTS, DIAGNOSTICS, CONSOLE, LOCK)


@pytest.mark.parametrize("put", [pipe, bound_socket, Path.mkdir])
@pytest.mark.parametrize("name", WRITTEN)
def test_who_writes_waits_for_nobody_either(
    tmp_path: Path, name: str, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = run_with(tmp_path, name, put)
    with pytest.raises(RunDirectoryError, match=rf"{name} cannot be opened.*: it is (no plain file|a folder)\.\n"):
        RunWriter(path, resume_at=1)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_said_to_move_away_lets_the_run_go_on(tmp_path: Path, name: str) -> None:
    path = run_with(tmp_path, name, lambda path: path.symlink_to("elsewhere"))
    with pytest.raises(RunDirectoryError) as refused:
        RunWriter(path, resume_at=1)
    _, what_to_do, after = str(refused.value).splitlines()
    move, _, away = shlex.split(what_to_do.partition(" and resume: ")[2])
    assert move == "mv"
    assert after == "The run then begins the file anew, without what was in the old one."
    (path / name).rename(away)
    RunWriter(path, resume_at=1).close()
    assert (path / name).is_file()
    assert is_put_aside(Path(away).name)


def linked(path: Path, outside: Path) -> str:
    path.symlink_to(outside)
    return "it is a symbolic link"


def dangling(path: Path, outside: Path) -> str:
    path.symlink_to(outside.with_name("new"))
    return "it is a symbolic link"


def hard_linked(path: Path, outside: Path) -> str:
    path.hardlink_to(outside)
    return r"it has 2 names \(hard links\)"


@pytest.mark.parametrize("link", [linked, dangling, hard_linked])
@pytest.mark.parametrize("name", WRITTEN)
def test_nothing_outside_a_run_is_emptied_or_written(
    tmp_path: Path, name: str, link: Callable[[Path, Path], str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "theirs").write_text("SECRET")  # without a last newline: a line that was cut off is dropped

    said = []
    path = run_with(tmp_path, name, lambda path: said.append(link(path, outside / "theirs")))
    with pytest.raises(
        RunDirectoryError, match=rf"{name} cannot be opened.*: {said[0]}[^\n]*\.(\nPut the file itself back|$)"
    ):
        RunWriter(path, resume_at=0)
    assert [(file.name, file.read_text()) for file in outside.iterdir()] == [("theirs", "SECRET")]


@pytest.mark.parametrize("link", [linked, dangling, hard_linked])
@pytest.mark.parametrize("name", [STATUS, RECIPE, ENVIRONMENT, VERDICT])
def test_what_is_replaced_as_a_whole_takes_a_links_place(
    tmp_path: Path, name: str, link: Callable[[Path, Path], str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "theirs").write_text("SECRET")
    path = run_with(tmp_path, name, Path.touch)
    (path / name).unlink()
    link(path / name, outside / "theirs")
    replace_file(path / name, b"ours")
    assert (path / name).read_bytes() == b"ours"
    assert not (path / name).is_symlink()
    assert [(file.name, file.read_text()) for file in outside.iterdir()] == [("theirs", "SECRET")]


def test_a_link_that_waits_under_a_temporary_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    (tmp_path / "theirs").write_text("SECRET")
    for name in (f".status.json.{os.getpid()}.tmp", ".status.json.guessed.tmp"):
        (tmp_path / name).symlink_to("theirs")
    with pytest.raises(FileExistsError):
        replace_file(tmp_path / STATUS, b"ours")
    assert (tmp_path / "theirs").read_text() == "SECRET"
    assert not (tmp_path / STATUS).exists()


def test_no_two_temporary_names_are_alike_and_none_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def failing(descriptor: int) -> None:
        names.extend(path.name for path in tmp_path.iterdir())
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(os, "fsync", failing)
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is gone"):
            replace_file(tmp_path / STATUS, b"ours")
    assert len(set(names)) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_all_files_have_the_mode_that_the_umask_says(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        path = record_run(tmp_path / "run", [validation(1, 1.0, 0.4)])
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
    assert len(modes) == 8
    assert set(modes.values()) == {mode}, modes
