"""The run on the screen was rolled back: while somebody watched, or before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.monitor.driving import awaited, open_folder, open_run, run_screen, screen_text, until
from tests.monitor.recorded import NOON, record, write_status

CHILD, GRANDCHILD = "mine-20260102-000000", "mine-20260103-000000"


def parent_of(folder: Path, **status: Any) -> Path:
    return record(folder / "mine-20260101-000000", **{"state": "rolled_back", "child": CHILD} | status)


@awaited
async def test_a_run_that_was_rolled_back_before_stays_and_n_goes_to_its_child(tmp_path: Path) -> None:
    record(tmp_path / CHILD, started=NOON + 100, parent="mine-20260101-000000")
    async with open_run(parent_of(tmp_path), size=(80, 24)) as pilot:
        await until(pilot, lambda: f"goes on as {CHILD}: n goes there" in screen_text(pilot.app))
        await pilot.pause(0.5)
        assert run_screen(pilot).lines()[0].startswith(" mine-20260101")
        assert "n newer run" in run_screen(pilot).lines()[-1]
        await pilot.press("n")
        await until(pilot, lambda: run_screen(pilot).lines()[0].startswith(f" {CHILD}"))
        await until(pilot, lambda: "goes on." in screen_text(pilot.app))
        assert "goes there" not in screen_text(pilot.app)


@awaited
async def test_from_child_to_child_each_of_them_is_shown(tmp_path: Path) -> None:
    record(tmp_path / CHILD, state="rolled_back", child=GRANDCHILD)
    record(tmp_path / GRANDCHILD)
    async with open_run(parent_of(tmp_path)) as pilot:
        await pilot.press("n")
        await until(pilot, lambda: f"goes on as {GRANDCHILD}: n goes there" in screen_text(pilot.app))
        await pilot.press("n")
        await until(pilot, lambda: run_screen(pilot).lines()[0].startswith(f" {GRANDCHILD}"))


@awaited
async def test_a_run_that_is_rolled_back_while_it_is_watched_is_followed_to_the_last_of_its_children(
    tmp_path: Path,
) -> None:
    record(tmp_path / CHILD, state="rolled_back", child=GRANDCHILD)
    record(tmp_path / GRANDCHILD)
    parent = parent_of(tmp_path, state="running", child="")
    async with open_run(parent) as pilot:
        write_status(parent, state="rolled_back", child=CHILD)
        await until(pilot, lambda: run_screen(pilot).lines()[0].startswith(f" {GRANDCHILD}"))


@awaited
async def test_who_does_not_follow_is_told_of_the_child(tmp_path: Path) -> None:
    record(tmp_path / CHILD)
    parent = parent_of(tmp_path, state="running", child="")
    async with open_run(parent) as pilot:
        await pilot.press("f")
        write_status(parent, state="rolled_back", child=CHILD)
        await until(pilot, lambda: f"goes on as {CHILD}: n goes there" in screen_text(pilot.app))
        assert run_screen(pilot).run == parent


@awaited
async def test_a_parent_that_is_chosen_from_the_list_is_the_one_that_opens(tmp_path: Path) -> None:
    parent_of(tmp_path, started=NOON + 100)
    record(tmp_path / CHILD)
    async with open_folder(tmp_path) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: f"goes on as {CHILD}: n goes there" in screen_text(pilot.app))
        assert run_screen(pilot).run.name == "mine-20260101-000000"


@awaited
async def test_a_child_elsewhere_is_none(tmp_path: Path) -> None:
    record(tmp_path / "elsewhere" / "child")
    async with open_run(parent_of(tmp_path, child="elsewhere/child")) as pilot:
        await pilot.press("n")
        await until(pilot, lambda: "There is no newer run to go to." in screen_text(pilot.app))
