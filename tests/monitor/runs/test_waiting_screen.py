"""Started before the run that it is meant for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from jepa_monitor.app import MonitorApp
from jepa_monitor.command import _awaited
from jepa_monitor.runs.awaited_run import AwaitedRun, runs_dir_flag
from jepa_monitor.runs.waiting_screen import WaitingScreen
from jepa_monitor.screens.help import HelpScreen
from tests.monitor.driving import awaited, run_screen, screen_text, until
from tests.monitor.recorded import record


@asynccontextmanager
async def waiting_for(name: str, folder: Path) -> AsyncIterator[Pilot[None]]:
    app = MonitorApp(folder, awaited=AwaitedRun(name=name, folder=folder))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, WaitingScreen) and "as soon as" in screen_text(app))
        yield pilot


@awaited
async def test_before_there_is_a_folder_of_runs_it_says_so_and_goes_to_the_first_run(tmp_path: Path) -> None:
    async with waiting_for("latest", tmp_path / "runs") as pilot:
        await until(pilot, lambda: "There is no folder" in screen_text(pilot.app))
        (tmp_path / "runs").mkdir()
        await until(pilot, lambda: "There are no runs in" in screen_text(pilot.app))
        assert "A run is shown here as soon as it begins." in screen_text(pilot.app)
        said = "".join(screen_text(pilot.app).replace("│", "").split())
        assert f"jepa run quickstart --runs-dir {tmp_path / 'runs'}".replace(" ", "") in said
        record(tmp_path / "runs" / "mine-20260101-000000")
        await until(pilot, lambda: "grad.norm" in screen_text(pilot.app))
        assert run_screen(pilot).lines()[0].startswith(" mine-20260101")


@awaited
async def test_a_name_is_awaited_beside_other_runs_which_are_listed(tmp_path: Path) -> None:
    record(tmp_path / "other-20260101-000000")
    async with waiting_for("mine", tmp_path) as pilot:
        await until(pilot, lambda: "other-20260101-000000" in screen_text(pilot.app))
        assert "There is no run mine yet" in screen_text(pilot.app)
        record(tmp_path / "mine-20260102-000000")
        await until(pilot, lambda: "grad.norm" in screen_text(pilot.app))


@awaited
async def test_a_run_that_arrives_does_not_open_over_a_dialog(tmp_path: Path) -> None:
    async with waiting_for("mine", tmp_path) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        record(tmp_path / "mine-20260102-000000")
        await pilot.pause(1.2)
        assert isinstance(pilot.app.screen, HelpScreen)
        await pilot.press("escape")
        await until(pilot, lambda: "grad.norm" in screen_text(pilot.app))


def test_in_the_usual_folder_a_run_is_started_without_a_flag() -> None:
    assert runs_dir_flag(Path("runs")) == ""
    assert runs_dir_flag(Path("my runs")) == " --runs-dir 'my runs'"


def test_what_is_there_is_not_awaited(tmp_path: Path) -> None:
    assert _awaited("latest", tmp_path / "runs") == AwaitedRun(name="latest", folder=tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    assert _awaited(str(tmp_path / "empty"), tmp_path) == AwaitedRun(name="latest", folder=tmp_path / "empty")
    run = record(tmp_path / "runs" / "mine-20260101-000000")
    record(tmp_path / "runs" / "mine-20260102-000000")
    for path in ("latest", "mine", str(run), str(tmp_path / "runs"), "", "a\0b"):
        assert _awaited(path, tmp_path / "runs") is None, path
    assert _awaited("yours", tmp_path / "runs") == AwaitedRun(name="yours", folder=tmp_path / "runs")
