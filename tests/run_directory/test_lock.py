from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.clock import Clock, local_time
from jepa_core.run_directory.lock import RunLock

HOLD = """
import sys, time
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


def starter(run: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


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
