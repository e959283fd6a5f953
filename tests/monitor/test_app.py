"""What the application does beyond its keys: follows runs, tells of trouble, remembers, stays harmless."""

from __future__ import annotations

import asyncio
import functools
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from textual.events import Key
from textual.strip import Strip

from jepa_monitor.app import MonitorApp
from jepa_monitor.chrome.filter_bar import FilterBar
from jepa_monitor.preferences import read_preferences
from jepa_monitor.runs.runs_screen import RunsScreen
from tests.monitor.driving import awaited, open_folder, open_run, run_screen, runs_screen, screen_text, until
from tests.monitor.recorded import append, record, rows

HEALTHY = {"loss.relational": 0.03}


def healthy(row: dict[str, float]) -> dict[str, float]:
    return row | HEALTHY


@awaited
async def test_new_rows_are_drawn_within_a_moment(tmp_path: Path) -> None:
    run = record(tmp_path / "mine", rows(200), state="running")
    async with open_run(run) as pilot:
        append(run, {**rows(210)[-1], "grad.norm": 77.0})
        began = time.monotonic()
        await until(pilot, lambda: "77" in screen_text(pilot.app))
        assert time.monotonic() - began < 5
        assert "step 400" in run_screen(pilot).lines()[0]


@awaited
async def test_a_zoomed_view_stays_while_rows_come(tmp_path: Path) -> None:
    run = record(tmp_path / "mine", rows(200), state="running")
    async with open_run(run) as pilot:
        await pilot.press("plus")
        span = run_screen(pilot).board.display_choice.span
        append(run, {**rows(400)[-1], "grad.norm": 77.0})
        await until(pilot, lambda: "77" in screen_text(pilot.app))
        spec = run_screen(pilot).board.grid.charts[0].spec
        assert spec is not None
        assert spec.x_range == span == (50, 150)


@awaited
async def test_a_paused_picture_holds_still_and_catches_up(tmp_path: Path) -> None:
    run = record(tmp_path / "mine", rows(200), state="running")
    async with open_run(run) as pilot:
        await pilot.press("space")
        append(run, {**rows(400)[-1], "grad.norm": 77.0})
        await pilot.pause(0.4)
        assert "77" not in screen_text(pilot.app)
        await pilot.press("space")
        await until(pilot, lambda: "77" in screen_text(pilot.app))


@awaited
async def test_a_value_that_is_not_finite_is_told_above_the_charts(tmp_path: Path) -> None:
    run = record(tmp_path / "mine", rows(200), state="running")
    async with open_run(run) as pilot:
        assert len(run_screen(pilot).lines()) == 3
        append(run, {"step": 210, "epoch": 2.1, "loss.total": math.nan, "grad.norm": 3.5})
        await until(pilot, lambda: "loss.total is nan since step 210" in screen_text(pilot.app))
        assert "grad.norm 3.50" in run_screen(pilot).lines()[1]


@awaited
async def test_a_run_that_vanishes_is_told_and_its_charts_stay(tmp_path: Path) -> None:
    run = record(tmp_path / "mine")
    async with open_run(run) as pilot:
        shutil.rmtree(run)
        await until(pilot, lambda: "is gone" in screen_text(pilot.app))
        assert "grad.norm" in screen_text(pilot.app)


@awaited
async def test_a_rollback_that_fires_shows_a_flag_and_its_key_and_opens_nothing(tmp_path: Path) -> None:
    run = record(tmp_path / "mine", [healthy(row) for row in rows(200)], state="running")
    async with open_run(run) as pilot:
        await pilot.press("slash")
        await until(pilot, lambda: pilot.app.screen.query(FilterBar))
        await pilot.press(*"gra")
        append(run, {**rows(210)[-1], "loss.relational": 0.001})
        await until(pilot, lambda: "rollback ▲ B press r" in run_screen(pilot).lines()[1])
        await pilot.press(*"d")
        assert pilot.app.screen is run_screen(pilot)
        assert pilot.app.screen.query_one(FilterBar).input.value == "grad"


@awaited
async def test_one_that_fired_long_ago_does_not(tmp_path: Path) -> None:
    run = record(tmp_path / "mine", change=lambda row: row | {"loss.relational": 0.001})
    async with open_run(run) as pilot:
        await pilot.pause(0.3)
        assert pilot.app.screen is run_screen(pilot)
        assert "rollback ▲ B" in run_screen(pilot).lines()[1]


@awaited
async def test_what_is_typed_right_after_the_key_goes_into_the_filter_and_is_no_command(tmp_path: Path) -> None:
    async with open_run(record(tmp_path / "mine")) as pilot:
        for name in ("slash", *"rankd", "backspace", "enter"):
            pilot.app.post_message(Key(name, "/" if name == "slash" else name if len(name) == 1 else None))
        await until(pilot, lambda: run_screen(pilot).board.titles == ("rank",))
        await until(pilot, lambda: not pilot.app.screen.query(FilterBar))
        assert pilot.app.screen is run_screen(pilot)


@awaited
async def test_a_filter_that_is_no_expression_says_so_and_changes_nothing(tmp_path: Path) -> None:
    async with open_run(record(tmp_path / "mine")) as pilot:
        titles = run_screen(pilot).board.titles
        await pilot.press("slash")
        await until(pilot, lambda: pilot.app.screen.query(FilterBar))
        await pilot.press("left_square_bracket", "enter")
        await until(pilot, lambda: "not a regular expression" in screen_text(pilot.app))
        assert run_screen(pilot).board.titles == titles
        await pilot.press("escape")
        await until(pilot, lambda: not pilot.app.screen.query(FilterBar))
        assert "not a regular expression" not in screen_text(pilot.app)


@awaited
async def test_the_pointer_sets_the_crosshair_of_all_charts(tmp_path: Path) -> None:
    async with open_run(record(tmp_path / "mine")) as pilot:
        await pilot.hover(run_screen(pilot).board.grid.charts[0], offset=(20, 5))
        await until(pilot, lambda: run_screen(pilot).board.display_choice.crosshair is not None)
        crosshairs = {chart.spec.crosshair for chart in run_screen(pilot).board.grid.charts if chart.spec}
        assert len(crosshairs) == 1


@awaited
async def test_a_click_chooses_a_chart(tmp_path: Path) -> None:
    async with open_run(record(tmp_path / "mine")) as pilot:
        charts = run_screen(pilot).board.grid.charts
        await pilot.click(charts[2], offset=(5, 5))
        await pilot.pause()
        assert charts[2].spec is not None
        assert charts[2].spec.title.startswith("▸")


@awaited
async def test_a_replay_can_be_paused_hurried_and_begun_again(tmp_path: Path) -> None:
    run = record(tmp_path / "mine")
    async with open_run(run, speed=2.0) as pilot:
        await pilot.press("full_stop")
        await until(pilot, lambda: "replay ×4" in run_screen(pilot).lines()[0])
        await pilot.press("comma", "comma", "space")
        await until(pilot, lambda: "replay ×1, paused" in run_screen(pilot).lines()[0])
        await pilot.press("space", "end")
        await until(pilot, lambda: "at the end" in run_screen(pilot).lines()[0])
        await until(pilot, lambda: "step 400/400" in run_screen(pilot).lines()[0])
        await pilot.press("home")
        await until(pilot, lambda: "at the end" not in run_screen(pilot).lines()[0])


@awaited
async def test_coming_back_to_the_charts_of_a_finished_run_the_head_counts_pages_as_before(tmp_path: Path) -> None:
    async with open_run(record(tmp_path / "mine"), size=(80, 24)) as pilot:
        head = run_screen(pilot).lines()[0]
        assert "page 1/" in head
        await pilot.press("2", "1")
        await until(pilot, lambda: run_screen(pilot).lines()[0] == head)
        await pilot.pause(0.2)
        assert run_screen(pilot).lines()[0] == head


@awaited
async def test_a_list_of_runs_takes_up_new_ones(tmp_path: Path) -> None:
    record(tmp_path / "mine-20260101-000000")
    async with open_folder(tmp_path) as pilot:
        record(tmp_path / "mine-20260102-000000", state="running")
        await until(pilot, lambda: "2 runs" in screen_text(pilot.app))
        assert "✔ finished" in screen_text(pilot.app)


@awaited
async def test_too_few_and_too_many_marks_are_told(tmp_path: Path) -> None:
    for number in range(6):
        record(tmp_path / f"mine-2026010{number + 1}-000000")
    async with open_folder(tmp_path) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: "Mark at least two runs first." in screen_text(pilot.app))
        await pilot.press("d")
        await until(pilot, lambda: "Mark two runs first." in screen_text(pilot.app))
        await pilot.press(*"mmmmm")
        assert len(runs_screen(pilot).marked) == 4


@awaited
async def test_from_a_run_that_was_opened_first_one_gets_to_the_runs_beside_it(tmp_path: Path) -> None:
    record(tmp_path / "other-20260101-000000")
    async with open_run(record(tmp_path / "mine-20260102-000000")) as pilot:
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen) and "2 runs" in screen_text(pilot.app))


@awaited
async def test_choices_are_remembered_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "preferences" / "monitor.toml"
    run = record(tmp_path / "mine")
    async with open_run(run, preferences_path=path) as pilot:
        await pilot.press("s", "x", "y", "less_than_sign", "t", "plus")
    read = read_preferences(path)
    display = read.preferences.display
    assert (read.preferences.theme, display.axis, display.smoothing, display.columns) == ("light", "epoch", 1, 2)
    assert display.span is None
    async with open_run(run, read=read) as pilot:
        assert pilot.app.theme == "jepa-light"
        assert run_screen(pilot).board.grid.shape.columns == 2


@awaited
async def test_damaged_preferences_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "monitor.toml"
    path.write_text("theme = ")
    async with open_run(record(tmp_path / "mine"), read=read_preferences(path)) as pilot:
        await until(pilot, lambda: "is passed over" in screen_text(pilot.app).replace("\n", " "))


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60), (20, 6), (10, 3)])
def test_any_size_can_be_drawn(tmp_path: Path, size: tuple[int, int]) -> None:
    async def resize() -> None:
        async with open_run(record(tmp_path / "mine")) as pilot:
            for pane in "12345":
                await pilot.press(pane)
                await pilot.resize_terminal(*size)
                await pilot.pause()
                assert all(len(line) <= size[0] for line in screen_text(pilot.app).splitlines())

    asyncio.run(resize())


@awaited
async def test_in_ascii_no_character_is_beyond_it_on_any_screen(tmp_path: Path) -> None:
    async with open_run(record(tmp_path / "mine"), ascii_only=True, no_colour=True) as pilot:
        for key in ("2", "3", "4", "5", "1", "tab", "c", "a", "v", "r", "d", "question_mark", "ctrl+p"):
            await pilot.press(key)
            await pilot.pause()
            assert drawn(pilot.app).isascii(), key
            if (len(key) == 1 and key in "avrd") or key == "question_mark":
                await pilot.press("escape")


@awaited
async def test_no_color_of_the_environment_leaves_no_colour_on_any_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        record(tmp_path / name)
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_folder(tmp_path) as pilot:
        assert drawn_colours(pilot.app) <= {None, "default"}
        await pilot.press("m", "m", "o")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 3 and run_screen(pilot).board.titles)
        assert drawn_colours(pilot.app) <= {None, "default"}


def drawn_colours(app: object) -> set[str | None]:
    """Names of all colours as the terminal gets them."""
    styles = [segment.style for strip in filtered_strips(app) for segment in strip if segment.style]
    return {colour.name if colour else None for style in styles for colour in (style.color, style.bgcolor)}


def drawn(app: object) -> str:
    """Every character as the terminal gets it."""
    return "\n".join(segment.text for strip in filtered_strips(app) for segment in strip)


def filtered_strips(app: object) -> list[Strip]:
    """What the terminal gets: after the filters."""
    assert isinstance(app, MonitorApp)
    ground = app.screen.background_colors[1]
    filters = app.get_line_filters()
    return [
        functools.reduce(lambda strip, each: strip.apply_filter(each, ground), filters, strip)
        for strip in app.screen._compositor.render_strips()
    ]


@awaited
async def test_nothing_in_a_run_reads_as_markup_or_steers_the_terminal(tmp_path: Path) -> None:
    payload = "[red]\x1b]52;c;AAAA\x07\u202e[/"
    evil = [{**row, payload: 1.0, f"loss.{payload}": row["step"]} for row in rows(50)]
    async with open_run(record(tmp_path / "mine[red]", evil)) as pilot:
        for key in ("2", "4", "1", "slash"):
            await pilot.press(key)
            await pilot.pause()
            assert not set(screen_text(pilot.app)) & set("\x1b\x07\u202e")
        await pilot.press(*"red", "enter")
        await until(pilot, lambda: "[red]" in screen_text(pilot.app))


def test_before_the_first_paint_neither_numpy_nor_the_rule_engine_is_loaded() -> None:
    code = "import sys, jepa_monitor.app; sys.exit(bool({'torch', 'numpy', 'cattrs'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_whole_dashboard_loads_no_torch() -> None:
    imports = "import sys, jepa_monitor.navigation, jepa_monitor.model.run_model"
    code = f"{imports}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
