from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.clock import Clock, local_time
from jepa_core.run_directory.layout import LOCK
from jepa_core.run_directory.lock import RunLock, is_locked

HOLD = """
import sys
from pathlib import Path
from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.lock import RunLock
try:
    lock = RunLock(Path(sys.argv[1]))
except RunDirectoryError as error:
    print("refused", error, flush=True)
else:
    print("held", flush=True)
    sys.stdin.read()
"""

RACE = """
import sys
from pathlib import Path
from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.lock import RunLock
print("ready", flush=True)
for run in sys.stdin:
    try:
        lock = RunLock(Path(run.strip()))
    except RunDirectoryError:
        lock = None
    print("refused" if lock is None else "held", flush=True)
    sys.stdin.readline()
    if lock is not None:
        lock.release()
    print("released", flush=True)
"""


def starter(run: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def is_held_by_its_file(run: Path) -> bool:
    with (run / LOCK).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.communicate()


def test_a_second_process_is_refused_with_pid_host_and_time(tmp_path: Path) -> None:
    with RunLock(tmp_path, Clock(now=lambda: 1_800_000_000.0)):
        second = starter(tmp_path)
        said = answer(second)
        end(second)
    assert said.startswith("refused")
    assert f"process {os.getpid()} on {os.uname().nodename} since {local_time(1_800_000_000.0)}" in said


def test_of_several_starters_at_once_exactly_one_wins(tmp_path: Path) -> None:
    starters = [starter(tmp_path) for _ in range(6)]
    answers = sorted(answer(process).split()[0] for process in starters)
    end(*starters)
    assert answers == ["held"] + ["refused"] * 5


@pytest.mark.parametrize(("num_starters", "num_times"), [(4, 10), pytest.param(20, 100, marks=pytest.mark.slow)])
def test_again_and_again_exactly_one_wins(tmp_path: Path, num_starters: int, num_times: int) -> None:
    """Every other time in a directory that was locked before."""
    command = [sys.executable, "-c", RACE]
    starters = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(num_starters)
    ]

    def answers() -> list[str]:
        return sorted(answer(process).strip() for process in starters)

    def tell(line: str) -> None:
        for process in starters:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()

    assert answers() == ["ready"] * num_starters
    for number in range(num_times):
        run = tmp_path / f"run-{number // 2}"
        run.mkdir(exist_ok=True)
        tell(str(run))
        assert answers() == ["held"] + ["refused"] * (num_starters - 1)
        tell("")
        assert answers() == ["released"] * num_starters
    end(*starters)


def test_the_lock_dies_with_its_process_however_it_dies(tmp_path: Path) -> None:
    holder = starter(tmp_path)
    assert answer(holder) == "held\n"
    holder.kill()
    end(holder)
    RunLock(tmp_path).release()


def test_a_released_lock_can_be_taken_again_in_the_same_process(tmp_path: Path) -> None:
    first = RunLock(tmp_path)
    with pytest.raises(RunDirectoryError, match=f"in use by process {os.getpid()}"):
        RunLock(tmp_path)
    first.release()
    first.release()
    RunLock(tmp_path).release()


def test_a_directory_that_cannot_be_written_fails_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(RunDirectoryError, match=r"run\.lock"):
        RunLock(tmp_path / "gone")
    assert time.monotonic() - began < 1


def test_deleting_the_file_frees_nothing(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        (tmp_path / LOCK).unlink()
        assert is_locked(tmp_path)
        second = starter(tmp_path)
        assert answer(second).startswith("refused")
        end(second)
    assert not is_locked(tmp_path)


def test_a_file_that_was_deleted_is_taken_anew_and_names_its_holder(tmp_path: Path) -> None:
    with RunLock(tmp_path) as lock:
        assert lock.loss() is None
        (tmp_path / LOCK).unlink()
        assert lock.loss() is None
        assert is_held_by_its_file(tmp_path)
        second = starter(tmp_path)
        assert f"process {os.getpid()} on" in answer(second)
        end(second)


def test_a_file_that_another_process_has_taken_is_a_loss(tmp_path: Path) -> None:
    with RunLock(tmp_path) as lock:
        (tmp_path / LOCK).unlink()
        # As a process does where the file system locks no directories.
        with (tmp_path / LOCK).open("w") as anothers:
            fcntl.flock(anothers, fcntl.LOCK_EX)
            anothers.write('{"pid": 12, "host": "elsewhere", "since": 0}')
            anothers.flush()
            loss = lock.loss()
    assert loss is not None
    assert loss.path is None
    assert "run.lock was deleted" in loss.what
    assert "process 12 on elsewhere" in loss.what


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_directory_that_was_renamed_is_found_where_it_is(tmp_path: Path, is_replaced: bool) -> None:
    run, moved = tmp_path / "run", tmp_path / "elsewhere" / "moved"
    run.mkdir()
    moved.parent.mkdir()
    with RunLock(run) as lock:
        run.rename(moved)
        if is_replaced:
            run.mkdir()
            (run / LOCK).write_text("another's")
        loss = lock.loss()
        assert loss is not None
        assert loss.path == moved
        assert loss.what == f"{run} was renamed to {moved} while it was trained"
        moved.rename(tmp_path / "further")
        further = lock.loss()
        assert further is not None
        assert further.path == tmp_path / "further"
    assert [path.read_text() for path in run.iterdir()] == ["another's"] if is_replaced else not run.exists()


def test_a_directory_is_found_as_it_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "a").mkdir(parents=True)
    with RunLock(Path("runs/a")) as lock:
        Path("runs/a").rename("runs/b")
        loss = lock.loss()
    assert loss is not None
    assert loss.path == Path("runs/b")


def test_a_directory_that_was_removed_is_nowhere(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with RunLock(run) as lock:
        shutil.rmtree(run)
        loss = lock.loss()
    assert loss is not None
    assert loss.path is None
    assert "removed" in loss.what
    assert not run.exists()


def test_a_disk_that_refuses_to_close_files_ends_no_run_and_keeps_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, close = RunLock(tmp_path), os.close

    def refused(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with monkeypatch.context() as disk:
        disk.setattr(os, "close", refused)
        lock.release()
    RunLock(tmp_path).release()
