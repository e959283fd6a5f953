"""Run directories of strangers, in which a pipe or a device stands for a file: nothing waits, and it is said."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import NotPlainError, plain_descriptor, read_plain
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.layers import read_file_layers
from jepa_core.run_directory.events import EventsWriter
from jepa_core.run_directory.layout import (
    CHECKPOINTS,
    CONSOLE,
    ENVIRONMENT,
    EVENTS,
    LOCK,
    METRICS,
    RECIPE,
    ROLLBACK,
    STATUS,
    VERDICT,
)
from jepa_core.run_directory.lineage import read_lineage
from jepa_core.run_directory.lock import is_locked
from jepa_core.run_directory.reading import RunReader, recorded_rows
from jepa_core.run_directory.stored_checkpoints import FILES, MANIFEST, stored_checkpoints
from jepa_core.run_directory.writing import MetricsWriter, RunWriter
from tests.run_directory.runs import record_run, validation


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


KINDS = [pipe, endless, Path.mkdir]
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
            plain_descriptor(tmp_path / "other", flags)
    (tmp_path / "plain").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("plain")
    assert read_plain(tmp_path / "link", 5) == b"12345"
    with pytest.raises(ValueError, match="larger than"):
        read_plain(tmp_path / "link", 4)
    with pytest.raises(OSError, match="symbolic links"):
        read_plain(tmp_path / "link", 5, follow_links=False)


@pytest.mark.parametrize("put", KINDS)
def test_rows_and_events_are_refused_and_whoever_polls_gets_none(tmp_path: Path, put: Put) -> None:
    reader = RunReader(run_with(tmp_path, METRICS, put))
    for read in (lambda: list(reader.rows()), lambda: recorded_rows(reader.path / METRICS)):
        with pytest.raises(RunDirectoryError, match=r"metrics\.jsonl cannot be read: it is no plain file\.$"):
            read()
    assert reader.poll().rows == ()
    other = RunReader(run_with(tmp_path / "other", EVENTS, put))
    with pytest.raises(RunDirectoryError, match=r"events\.jsonl cannot be read: it is no plain file\.$"):
        list(other.events())
    assert other.poll().events == ()


@pytest.mark.parametrize("put", KINDS)
def test_side_files_count_as_damaged(tmp_path: Path, put: Put) -> None:
    assert RunReader(run_with(tmp_path / "a", STATUS, put)).state() == "unknown"
    assert RunReader(run_with(tmp_path / "b", ENVIRONMENT, put)).environment() == {}
    assert RunReader(run_with(tmp_path / "c", RECIPE, put)).recipe() == {}
    assert read_lineage(run_with(tmp_path / "d", ROLLBACK, put)) is None
    assert not is_locked(run_with(tmp_path / "e", LOCK, put))
    with pytest.raises(RunDirectoryError, match=r"verdict\.json cannot be read: it is no plain file\.$"):
        RunReader(run_with(tmp_path / "f", VERDICT, put)).verdict()


@pytest.mark.parametrize("put", KINDS)
def test_a_recipe_is_refused_for_what_it_is(tmp_path: Path, put: Put) -> None:
    with pytest.raises(RecipeFaultsError) as caught:
        read_file_layers(run_with(tmp_path, RECIPE, put) / RECIPE)
    assert caught.value.faults[0].message == "cannot be read: it is no plain file"


@pytest.mark.parametrize("put", KINDS)
@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_checkpoint_is_refused_by_the_files_name(tmp_path: Path, name: str, put: Put) -> None:
    folder = tmp_path / CHECKPOINTS
    CheckpointFolder(folder, keep=1).save(8, {})
    (folder / "step-8" / name).unlink()
    put(folder / "step-8" / name)
    assert stored_checkpoints(folder)[0].verify() == f"{name} cannot be read: it is no plain file"


def test_who_writes_waits_for_nobody_either(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"console\.log cannot be opened for writing: it is no plain file"):
        RunWriter(run_with(tmp_path / "a", CONSOLE, pipe))
    with pytest.raises(RunDirectoryError, match="it is no plain file"):
        MetricsWriter(run_with(tmp_path / "b", METRICS, pipe), resume_at=1)
    EventsWriter(run_with(tmp_path / "c", EVENTS, pipe)).close()
