from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.status import STALE_SECONDS, Status, StatusWriter, read_status, shown_state


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.wall = 1_000.0
        self.ticks = 50.0
        self.clock = Clock(now=lambda: self.wall, monotonic=lambda: self.ticks)


def test_the_file_says_what_was_written(tmp_path: Path) -> None:
    writer = StatusWriter(tmp_path, SetClock().clock, recipe="optimized", total_steps=1500)
    writer.update(state="running", step=7, epoch=0.5)
    status = read_status(tmp_path)
    assert status == writer.status
    assert status is not None
    assert (status.state, status.pid, status.host) == ("running", os.getpid(), socket.gethostname())
    assert (status.step, status.total_steps, status.exit_code) == (7, 1500, None)


def test_heartbeats_are_written_at_most_once_a_second(tmp_path: Path) -> None:
    time = SetClock()
    writer = StatusWriter(tmp_path, time.clock)
    written = []
    for step in range(1, 31):
        time.ticks += 0.1
        time.wall += 0.1
        writer.heartbeat(step, step / 10)
        status = read_status(tmp_path)
        written.append(status.step if status else None)
    assert sorted({step for step in written if step}) == [10, 20, 30]


def test_durations_never_go_back_when_the_clock_is_set_back(tmp_path: Path) -> None:
    time = SetClock()
    writer = StatusWriter(tmp_path, time.clock)
    elapsed = []
    for jump in (-3600.0, 315_360_000.0):
        time.ticks += 2.0
        time.wall += jump
        writer.update(state="running")
        elapsed.append(writer.status.elapsed)
    assert elapsed == [2.0, 4.0]


def test_a_resume_keeps_when_the_run_began_whose_child_it_is_and_how_far_it_came(tmp_path: Path) -> None:
    time = SetClock()
    first = StatusWriter(tmp_path, time.clock, parent="a-1", total_steps=9)
    first.update(state="interrupted", step=7, epoch=0.5, exit_code=143)
    time.wall += 500
    status = StatusWriter(tmp_path, time.clock).status
    assert (status.started, status.parent, status.state, status.exit_code) == (1_000.0, "a-1", "starting", None)
    assert (status.step, status.epoch, status.total_steps) == (7, 0.5, 9)


def test_no_temporary_file_is_left_beside_it(tmp_path: Path) -> None:
    StatusWriter(tmp_path).update(state="running")
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_vanished_directory_is_borne_for_a_minute_and_then_stops_the_run(tmp_path: Path) -> None:
    time, run = SetClock(), tmp_path / "run"
    run.mkdir()
    writer = StatusWriter(run, time.clock)
    run.rename(tmp_path / "moved")
    for _ in range(60):
        writer.update(state="running")
        time.ticks += 1
    with pytest.raises(RunDirectoryError, match=r"status\.json cannot be written: .*, for 60 s"):
        writer.update(state="running")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"state": "splendid"}', b'{"state": "running", "step": []}', b"[" * 9999]
)
def test_a_damaged_file_is_no_status(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "status.json").write_bytes(content)
    assert read_status(tmp_path) is None


def test_a_run_that_says_running_is_stale_without_a_sign_of_life() -> None:
    status = Status(state="running", pid=os.getpid(), host="elsewhere", heartbeat=1_000.0)
    assert shown_state(status, Clock(now=lambda: 1_000.0 + STALE_SECONDS)) == "running"
    assert shown_state(status, Clock(now=lambda: 1_001.0 + STALE_SECONDS)) == "stale"


def test_a_run_whose_process_is_gone_from_this_host_has_crashed() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    status = Status(state="running", pid=child.pid, host=socket.gethostname(), heartbeat=1_000.0)
    clock = Clock(now=lambda: 1_001.0)
    assert shown_state(status, clock) == "crashed"
    assert shown_state(attrs.evolve(status, pid=os.getpid()), clock) == "running"
    assert shown_state(attrs.evolve(status, host="elsewhere"), clock) == "running"


def test_a_run_that_has_ended_is_told_as_it_ended_and_one_without_status_is_unknown() -> None:
    assert shown_state(Status(state="finished"), Clock(now=lambda: 1e9)) == "finished"
    assert shown_state(None) == "unknown"
