"""The newest run was asked for, and another begins while it is on the screen."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from jepa_monitor.runs.awaited_run import newer_run
from tests.monitor.driving import awaited, open_run, run_screen, screen_text, until
from tests.monitor.recorded import NOON, record, write_status

NEW = "mine-20260102-000000"


def old_run(folder: Path, **status: Any) -> Path:
    return record(folder / "mine-20260101-000000", **status)


def begin(folder: Path) -> Path:
    """A run that trains: this process does."""
    return record(folder / NEW, started=NOON + 100, **trains())


def trains() -> dict[str, Any]:
    return {"state": "running", "pid": os.getpid(), "host": socket.gethostname(), "heartbeat": time.time()}


@pytest.mark.parametrize("state", ["finished", "failed", "aborted", "interrupted", "rolled_back", "crashed"])
@awaited
async def test_from_a_run_that_is_over_it_goes_on_to_one_that_begins(tmp_path: Path, state: str) -> None:
    crashed: dict[str, Any] = {"state": "running", "pid": 1 << 30, "host": socket.gethostname()}
    old = old_run(tmp_path, **(crashed if state == "crashed" else {"state": state}))
    async with open_run(old, keeps_to_newest=True) as pilot:
        begin(tmp_path)
        await until(pilot, lambda: run_screen(pilot).lines()[0].startswith(f" {NEW}"))
        await until(pilot, lambda: f"{state.replace('_', ' ')}; {NEW}" in " ".join(screen_text(pilot.app).split()))


@awaited
async def test_to_whoever_looks_at_it_the_newer_run_is_told_of_and_n_goes_there(tmp_path: Path) -> None:
    async with open_run(old_run(tmp_path), size=(80, 24), keeps_to_newest=True) as pilot:
        await pilot.press("s")
        begin(tmp_path)
        await until(pilot, lambda: f"{NEW} began after this run: n goes there" in screen_text(pilot.app))
        assert "n newer run" in run_screen(pilot).lines()[-1]
        assert run_screen(pilot).lines()[0].startswith(" mine-20260101")
        await pilot.press("n")
        await until(pilot, lambda: run_screen(pilot).lines()[0].startswith(f" {NEW}"))
        await until(pilot, lambda: "newer run" not in run_screen(pilot).lines()[-1])


@awaited
async def test_a_run_that_trains_is_left_for_no_other_before_its_end(tmp_path: Path) -> None:
    old = old_run(tmp_path, **trains())
    async with open_run(old, keeps_to_newest=True) as pilot:
        begin(tmp_path)
        await pilot.pause(1.2)
        assert run_screen(pilot).run == old
        write_status(old)
        await until(pilot, lambda: run_screen(pilot).run.name == NEW)


@awaited
async def test_a_silent_run_may_train_still_so_the_newer_one_is_only_told_of(tmp_path: Path) -> None:
    async with open_run(old_run(tmp_path, state="running"), keeps_to_newest=True) as pilot:
        assert "stale" in run_screen(pilot).lines()[0]
        begin(tmp_path)
        await until(pilot, lambda: "began after this run" in screen_text(pilot.app))


@awaited
async def test_a_run_that_was_asked_for_by_its_name_stays(tmp_path: Path) -> None:
    old = old_run(tmp_path)
    async with open_run(old) as pilot:
        begin(tmp_path)
        await pilot.pause(1.2)
        assert run_screen(pilot).run == old
        await pilot.press("n")
        await until(pilot, lambda: "There is no newer run to go to." in screen_text(pilot.app))


def test_a_newer_run_has_begun_later_even_where_the_other_is_gone(tmp_path: Path) -> None:
    old, other = old_run(tmp_path), record(tmp_path / "other-20260101-000000", started=NOON - 1)
    assert newer_run(old, None) is None
    assert newer_run(other, None) == old
    assert newer_run(tmp_path / "gone", NOON) is None
    assert newer_run(tmp_path / "gone", NOON - 1) == old
