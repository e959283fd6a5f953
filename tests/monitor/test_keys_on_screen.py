"""Every key of the tables, pressed on a real screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot

from jepa_monitor.chrome.filter_bar import FilterBar
from jepa_monitor.display import Display
from jepa_monitor.keys import ALL_KEYS, MONITOR_KEYS, RUN_KEYS, RUNS_KEYS
from jepa_monitor.screens.alerts import AlertsScreen
from jepa_monitor.screens.help import HelpScreen
from jepa_monitor.screens.recipe_difference import RecipeDifferenceScreen
from jepa_monitor.screens.rollback_screen import RollbackScreen
from jepa_monitor.screens.sheet import Sheet
from jepa_monitor.screens.verdict import VerdictScreen
from tests.monitor.driving import awaited, open_run, run_screen, screen_text, until
from tests.monitor.recorded import record

Check = Callable[[Pilot[None]], Awaitable[None]]


def display(pilot: Pilot[None]) -> Display:
    return run_screen(pilot).board.display_choice


def chosen(pilot: Pilot[None]) -> str | None:
    return run_screen(pilot).board.chosen


async def filters(pilot: Pilot[None]) -> None:
    await pilot.press("slash")
    await until(pilot, lambda: pilot.app.screen.query(FilterBar))
    await pilot.press(*"rank")
    await until(pilot, lambda: run_screen(pilot).board.titles == ("rank",))
    last_row = screen_text(pilot.app).splitlines()[-1]
    assert last_row.startswith(" /rank ")
    assert last_row.rstrip().endswith("enter keep  esc as before")
    await pilot.press("enter")
    await until(pilot, lambda: not pilot.app.screen.query(FilterBar))
    assert display(pilot).filter == "rank"


async def toggles_log(pilot: Pilot[None]) -> None:
    first = run_screen(pilot).board.grid.charts[0]
    assert first.spec is not None
    assert not first.spec.log
    await pilot.press("y")
    assert first.spec.log


async def smooths(pilot: Pilot[None]) -> None:
    await pilot.press("s")
    assert display(pilot).weight == 0.6
    assert "light smoothing" in run_screen(pilot).lines()[0]


async def changes_axis(pilot: Pilot[None]) -> None:
    await pilot.press("x")
    assert display(pilot).axis == "epoch"
    await pilot.press("x")
    assert display(pilot).axis == "time"
    await pilot.press("x")
    assert display(pilot).axis == "step"


async def fills_the_screen(pilot: Pilot[None]) -> None:
    await pilot.press("enter")
    assert len(run_screen(pilot).board.grid.charts) == 1
    await pilot.press("enter")
    assert len(run_screen(pilot).board.grid.charts) > 1


def grid_becomes(key: str, columns: int, rows: int) -> Check:
    async def check(pilot: Pilot[None]) -> None:
        shape = run_screen(pilot).board.grid.shape
        await pilot.press(key)
        after = run_screen(pilot).board.grid.shape
        assert (after.columns - shape.columns, after.rows - shape.rows) == (columns, rows)

    return check


async def grid_is_automatic(pilot: Pilot[None]) -> None:
    await pilot.press("less_than_sign", "equals_sign")
    assert display(pilot).columns == 0


async def sorts(pilot: Pilot[None]) -> None:
    await pilot.press("tab", "tab", "o")
    assert chosen(pilot) is None


def chooses(keys: str, position: int) -> Check:
    async def check(pilot: Pilot[None]) -> None:
        await pilot.press(*keys.split())
        titles = run_screen(pilot).board.titles
        board = run_screen(pilot).board
        assert board.chosen is not None
        assert titles[position].startswith(board.chosen.split(".")[0])

    return check


async def zooms_in(pilot: Pilot[None]) -> None:
    await pilot.press("plus")
    assert display(pilot).span == (100, 300)


async def zooms_out(pilot: Pilot[None]) -> None:
    await pilot.press("plus", "plus", "minus")
    assert display(pilot).span == (100, 300)


async def pans_left(pilot: Pilot[None]) -> None:
    await pilot.press("plus", "left_square_bracket")
    assert display(pilot).span == (50, 250)


async def pans_right(pilot: Pilot[None]) -> None:
    await pilot.press("plus", "right_square_bracket")
    assert display(pilot).span == (150, 350)


async def shows_the_whole(pilot: Pilot[None]) -> None:
    await pilot.press("plus", "0")
    assert display(pilot).span is None


async def follows(pilot: Pilot[None]) -> None:
    await pilot.press("plus", "f")
    assert display(pilot).follow
    assert display(pilot).shown_span((0, 1000)) == (800, 1000)


async def has_a_crosshair(pilot: Pilot[None]) -> None:
    await pilot.press("c")
    assert display(pilot).crosshair == 200
    assert all(chart.spec and chart.spec.crosshair == 200 for chart in run_screen(pilot).board.grid.charts)


async def moves_the_crosshair_left(pilot: Pilot[None]) -> None:
    await pilot.press("c", "H")
    assert display(pilot).crosshair == 190


async def moves_the_crosshair_right(pilot: Pilot[None]) -> None:
    await pilot.press("c", "L", "shift+right")
    assert display(pilot).crosshair == 220


async def anchors(pilot: Pilot[None]) -> None:
    await pilot.press("c", "m", "L")
    assert (display(pilot).anchor, display(pilot).crosshair) == (200, 210)
    assert "Δ" in screen_text(pilot.app)
    await pilot.press("m")
    assert display(pilot).anchor is None


async def sifts_events(pilot: Pilot[None]) -> None:
    await pilot.press("4")
    await until(pilot, lambda: "Checkpoint at step 400." in screen_text(pilot.app))
    assert "Checkpoint at step 300." not in screen_text(pilot.app)
    await pilot.press("w")
    await until(pilot, lambda: "Checkpoint at step 300." in screen_text(pilot.app))
    await pilot.press("w")
    await until(pilot, lambda: "no event among 5 is of this kind" in screen_text(pilot.app))


async def pauses(pilot: Pilot[None]) -> None:
    await pilot.press("space")
    assert "paused" in run_screen(pilot).lines()[0]
    await pilot.press("space")
    assert "paused" not in run_screen(pilot).lines()[0]


async def has_no_speed(key: str, pilot: Pilot[None]) -> None:
    await pilot.press(key)
    await until(pilot, lambda: "--replay" in screen_text(pilot.app))


def opens(key: str, dialog: type) -> Check:
    async def check(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await until(pilot, lambda: isinstance(pilot.app.screen, dialog))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, dialog))

    return check


async def knows_no_newer_run(pilot: Pilot[None]) -> None:
    await pilot.press("n")
    await until(pilot, lambda: "There is no newer run" in screen_text(pilot.app))


async def goes_back(pilot: Pilot[None]) -> None:
    await pilot.press("5", "escape")
    assert run_screen(pilot).board.display
    await pilot.press("enter", "escape")
    assert not run_screen(pilot).board.is_full_screen
    await pilot.press("c", "escape")
    assert display(pilot).crosshair is None


def shows_pane(key: str, words: str) -> Check:
    async def check(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await until(pilot, lambda: words in screen_text(pilot.app))

    return check


async def changes_theme(pilot: Pilot[None]) -> None:
    await pilot.press("t")
    assert pilot.app.theme == "jepa-light"
    await pilot.press("t")
    assert pilot.app.theme == "jepa-colour-blind"


async def has_a_palette(pilot: Pilot[None]) -> None:
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
    await pilot.press("escape")
    await until(pilot, lambda: not isinstance(pilot.app.screen, CommandPalette))


async def quits(pilot: Pilot[None]) -> None:
    await pilot.press("q")
    await until(pilot, lambda: not pilot.app.is_running or pilot.app._exit)


RUN_CHECKS: dict[str, Check] = {
    "filter": filters,
    "log": toggles_log,
    "smooth": smooths,
    "axis": changes_axis,
    "full_screen": fills_the_screen,
    "more_columns": grid_becomes("greater_than_sign", 1, 0),
    "fewer_columns": grid_becomes("less_than_sign", -1, 0),
    "more_rows": grid_becomes("right_curly_bracket", 0, 1),
    "fewer_rows": grid_becomes("left_curly_bracket", 0, -1),
    "automatic_grid": grid_is_automatic,
    "sort": sorts,
    "next_page": chooses("pagedown", 6),
    "previous_page": chooses("pagedown pageup", 0),
    "next_chart": chooses("tab tab", 1),
    "previous_chart": chooses("tab tab shift+tab", 0),
    "left": chooses("tab right left", 0),
    "right": chooses("tab l", 1),
    "up": chooses("tab down k", 0),
    "down": chooses("tab j", 3),
    "zoom_in": zooms_in,
    "zoom_out": zooms_out,
    "pan_left": pans_left,
    "pan_right": pans_right,
    "reset_view": shows_the_whole,
    "follow": follows,
    "pause": pauses,
    "crosshair": has_a_crosshair,
    "crosshair_left": moves_the_crosshair_left,
    "crosshair_right": moves_the_crosshair_right,
    "anchor": anchors,
    "faster": lambda pilot: has_no_speed("full_stop", pilot),
    "slower": lambda pilot: has_no_speed("comma", pilot),
    "from_start": lambda pilot: has_no_speed("home", pilot),
    "to_end": lambda pilot: has_no_speed("end", pilot),
    "alerts": opens("a", AlertsScreen),
    "verdict": opens("v", VerdictScreen),
    "rollback": opens("r", RollbackScreen),
    "recipe_difference": opens("d", RecipeDifferenceScreen),
    "newer_run": knows_no_newer_run,
    "back": goes_back,
    "pane_charts": shows_pane("1", "grad.norm"),
    "pane_model": shows_pane("2", "context use"),
    "pane_system": shows_pane("3", "system"),
    "pane_events": sifts_events,
    "pane_console": shows_pane("5", "epoch 4/4  step 400"),
    "help": opens("question_mark", HelpScreen),
    "next_theme": changes_theme,
    "command_palette": has_a_palette,
    "quit": quits,
}

RUN_GROUPS = ("charts", "view", "run", "panes", "monitor")


@pytest.mark.parametrize("group", RUN_GROUPS)
@awaited
async def test_every_key_of_a_run_does_what_it_says(tmp_path: Path, group: str) -> None:
    async with open_run(record(tmp_path / "mine")) as pilot:
        for key in (*RUN_KEYS, *MONITOR_KEYS):
            if key.group == group:
                await start_afresh(pilot)
                await RUN_CHECKS[key.id](pilot)


async def start_afresh(pilot: Pilot[None]) -> None:
    screen = run_screen(pilot)
    screen.action_pane("charts")
    screen.board.chosen = None
    screen.board.set_full_screen(False)
    screen.board.look_at(Display())
    await until(pilot, lambda: len(screen.board.titles) > 6)
    await pilot.pause()


def test_every_key_has_a_check() -> None:
    assert set(RUN_CHECKS) == {key.id for key in ALL_KEYS if key.group != "runs"}
    assert {key.group for key in ALL_KEYS} == {*RUN_GROUPS, "runs"}


def test_no_key_starts_two_things_on_one_screen() -> None:
    for keys in ((*RUN_KEYS, *MONITOR_KEYS), (*RUNS_KEYS, *MONITOR_KEYS)):
        names = [name for key in keys for name in key.keys.split(",")]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("key", ["question_mark", "q", "escape"])
@awaited
async def test_the_help_is_closed_by_its_own_key_and_by_those_that_leave(tmp_path: Path, key: str) -> None:
    async with open_run(record(tmp_path / "mine")) as pilot:
        await opens_and_leaves(pilot, HelpScreen, "question_mark", key)


@pytest.mark.parametrize("key", ["a", "v", "r", "d"])
@awaited
async def test_q_leaves_every_sheet_and_then_the_monitor(tmp_path: Path, key: str) -> None:
    async with open_run(record(tmp_path / "mine")) as pilot:
        await opens_and_leaves(pilot, Sheet, key, "q")
        await quits(pilot)


async def opens_and_leaves(pilot: Pilot[None], sheet: type[Sheet], opening: str, leaving: str) -> None:
    await pilot.press(opening)
    await until(pilot, lambda: isinstance(pilot.app.screen, sheet))
    await pilot.press(leaving)
    await until(pilot, lambda: pilot.app.screen is run_screen(pilot))
    assert not pilot.app._exit


@pytest.mark.parametrize("before", ["", "question_mark", "slash", "ctrl+p"])
@awaited
async def test_ctrl_c_quits_from_everywhere(tmp_path: Path, before: str) -> None:
    async with open_run(record(tmp_path / "mine")) as pilot:
        await pilot.press(*before.split(), "ctrl+c")
        await until(pilot, lambda: pilot.app._exit)


@awaited
async def test_keys_can_be_remapped(tmp_path: Path) -> None:
    from jepa_monitor.preferences import Preferences, ReadPreferences

    read = ReadPreferences(preferences=attrs.evolve(Preferences(), keys={"smooth": "z"}))
    async with open_run(record(tmp_path / "mine"), read=read) as pilot:
        await pilot.press("s")
        assert display(pilot).smoothing == 0
        await pilot.press("z")
        assert display(pilot).smoothing == 1
        assert "z smooth" in run_screen(pilot).lines()[-1]
