"""Pictures of the screens, compared with stored ones; `pytest --snapshot-update` stores them anew, to be looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from jepa_monitor.app import MonitorApp
from jepa_monitor.board.run_screen import RunScreen
from jepa_monitor.chrome.filter_bar import FilterBar
from jepa_monitor.panels.panel import Panel
from jepa_monitor.preferences import Preferences, ReadPreferences
from tests.monitor.driving import run_screen, runs_screen, until
from tests.monitor.rank_files import record_ranks
from tests.monitor.recorded import record, rows


class Compare(Protocol):
    def __call__(
        self, app: MonitorApp, *, terminal_size: tuple[int, int], run_before: Callable[[Pilot[None]], Awaitable[None]]
    ) -> bool: ...


def application(path: Path, **options: Any) -> MonitorApp:
    """With a clock that runs so fast that nothing waits."""
    return MonitorApp(path, seconds=count(0, 100).__next__, **options)


def after(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """When the run is read and judged, and the keys were pressed."""

    async def run_before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        screen = run_screen(pilot)
        await until(pilot, lambda: screen.view and screen.view.judged_rows is None and screen.view.history.num_rows)
        await pilot.press(*keys)
        await until(pilot, lambda: are_drawn(screen))
        await pilot.pause(0.1)
        await pilot.pause()

    return run_before


def is_shown(widget: Widget) -> bool:
    """Whether neither it nor what it lies in is hidden."""
    return all(node.display for node in widget.ancestors_with_self if isinstance(node, Widget))


def are_drawn(screen: RunScreen) -> bool:
    """Whether every panel on the screen says something: one that was just mounted says nothing yet."""
    panels = [panel for panel in screen.query(Panel) if panel.region.height > 2 and is_shown(panel)]
    return all(panel._content.lines for panel in panels)


@pytest.fixture
def troubled(tmp_path: Path) -> Path:
    """A run whose codebook slides below its limits."""
    return record(tmp_path / "troubled", change=lambda row: row | {"vq.usage": 0.22 - row["step"] / 2500})


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=["80x24", "120x36", "200x60"])
def test_a_run_at(troubled: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(application(troubled), terminal_size=size, run_before=after())


def test_in_ascii(troubled: Path, snap_compare: Compare) -> None:
    app = application(troubled, ascii_only=True)
    assert snap_compare(app, terminal_size=(100, 24), run_before=after())


def test_without_colour(troubled: Path, snap_compare: Compare) -> None:
    app = application(troubled, no_colour=True)
    assert snap_compare(app, terminal_size=(100, 24), run_before=after())


def test_for_colour_blind_readers(troubled: Path, snap_compare: Compare) -> None:
    app = application(troubled, read=ReadPreferences(preferences=Preferences(theme="colour-blind")))
    assert snap_compare(app, terminal_size=(100, 24), run_before=after())


def test_in_full_screen_with_crosshair_and_smoothing(troubled: Path, snap_compare: Compare) -> None:
    run_before = after("tab", "tab", "tab", "tab", "tab", "tab", "enter", "s", "s", "c")
    assert snap_compare(application(troubled), terminal_size=(100, 24), run_before=run_before)


def test_with_a_filter_being_typed(troubled: Path, snap_compare: Compare) -> None:
    async def run_before(pilot: Pilot[None]) -> None:
        await after("slash")(pilot)
        await until(pilot, lambda: pilot.app.screen.query(FilterBar))
        pilot.app.screen.query_one(FilterBar).input.cursor_blink = False
        await pilot.press(*"rank|lr")
        await pilot.pause(0.1)

    assert snap_compare(application(troubled), terminal_size=(100, 24), run_before=run_before)


def test_the_panels_of_the_model(troubled: Path, snap_compare: Compare) -> None:
    assert snap_compare(application(troubled), terminal_size=(120, 36), run_before=after("2"))


def test_the_ranks_below_the_system(troubled: Path, snap_compare: Compare) -> None:
    record_ranks(troubled, 4, silent={2: 200})
    assert snap_compare(application(troubled), terminal_size=(120, 40), run_before=after("3"))


def test_of_many_ranks_the_slowest(troubled: Path, snap_compare: Compare) -> None:
    record_ranks(troubled, 64)
    assert snap_compare(application(troubled), terminal_size=(80, 24), run_before=after("3"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three runs below the working directory, so that no path of the machine is in the picture."""
    record(tmp_path / "runs" / "gentle-20260101-000000", rows(300), state="aborted", exit_code=3, epoch=3.0)
    record(tmp_path / "runs" / "mine-20260102-000000")
    record(tmp_path / "runs" / "mine-20260103-000000", rows(200), state="interrupted", epoch=2.0)
    monkeypatch.chdir(tmp_path)
    return Path("runs")


def test_a_folder_of_runs(folder: Path, snap_compare: Compare) -> None:
    async def run_before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(pilot.app.screen_stack) > 1 and runs_screen(pilot).chosen)
        await pilot.press("m", "m", "down")
        await pilot.pause()

    assert snap_compare(application(folder), terminal_size=(100, 24), run_before=run_before)


def test_several_runs_in_the_same_charts(folder: Path, snap_compare: Compare) -> None:
    async def run_before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(pilot.app.screen_stack) > 1 and runs_screen(pilot).chosen)
        await pilot.press("m", "m", "o")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        await until(pilot, lambda: "2 ━━" in run_screen(pilot).lines()[1])
        await pilot.pause(0.2)

    assert snap_compare(application(folder), terminal_size=(100, 24), run_before=run_before)
