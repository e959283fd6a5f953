"""Every key of the list of runs does what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from jepa_monitor.board.run_screen import RunScreen
from jepa_monitor.chrome.filter_bar import FilterBar
from jepa_monitor.keys import ALL_KEYS, RUNS_KEYS
from jepa_monitor.runs.runs_screen import RunsScreen
from jepa_monitor.screens.recipe_difference import RecipeDifferenceScreen
from tests.monitor.driving import awaited, open_folder, runs_screen, screen_text, until
from tests.monitor.recorded import record

Check = Callable[[Pilot[None]], Awaitable[None]]


async def opens_a_run(pilot: Pilot[None]) -> None:
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
    await pilot.press("escape")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))


async def marks(pilot: Pilot[None]) -> None:
    await pilot.press("m")
    assert len(runs_screen(pilot).marked) == 1


async def overlays(pilot: Pilot[None]) -> None:
    await pilot.press("m", "space", "o")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
    await until(pilot, lambda: "2 ━━" in screen_text(pilot.app))
    await pilot.press("escape")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))


async def compares_recipes(pilot: Pilot[None]) -> None:
    await pilot.press("m", "G", "m", "d")
    await until(pilot, lambda: isinstance(pilot.app.screen, RecipeDifferenceScreen))
    await until(pilot, lambda: "num_codes" in screen_text(pilot.app))
    await pilot.press("escape")


async def filters_runs(pilot: Pilot[None]) -> None:
    await pilot.press("slash")
    await until(pilot, lambda: pilot.app.screen.query(FilterBar))
    await pilot.press(*"gentle", "enter")
    await until(pilot, lambda: "1 shown" in screen_text(pilot.app))


def moves_to(keys: str, name: str) -> Check:
    async def check(pilot: Pilot[None]) -> None:
        await pilot.press(*keys.split())
        assert Path(runs_screen(pilot).chosen).name.startswith(name)

    return check


async def sorts_the_list(pilot: Pilot[None]) -> None:
    await pilot.press("s")
    await until(pilot, lambda: "by name" in screen_text(pilot.app))
    await pilot.press(*"ssss")
    await until(pilot, lambda: "newest first" in screen_text(pilot.app))


async def hides_the_preview(pilot: Pilot[None]) -> None:
    assert "best MRR" in screen_text(pilot.app)
    await pilot.press("p")
    await until(pilot, lambda: "best MRR" not in screen_text(pilot.app))


async def clears(pilot: Pilot[None]) -> None:
    await pilot.press("m", "escape")
    assert not runs_screen(pilot).marked


RUNS_CHECKS: dict[str, Check] = {
    "open": opens_a_run,
    "mark": marks,
    "overlay": overlays,
    "runs_difference": compares_recipes,
    "runs_filter": filters_runs,
    "row_down": moves_to("g j", "mine"),
    "row_up": moves_to("G k", "mine"),
    "first_row": moves_to("G home", "optimized"),
    "last_row": moves_to("g end", "gentle"),
    "runs_sort": sorts_the_list,
    "preview": hides_the_preview,
    "page_down": moves_to("g pagedown", "gentle"),
    "page_up": moves_to("G pageup", "optimized"),
    "clear": clears,
}


@awaited
async def test_every_key_of_the_list_of_runs_does_what_it_says(tmp_path: Path) -> None:
    record(tmp_path / "gentle-20260101-000000", recipe='name = "gentle"\n[quantizer]\nnum_codes = 16\n')
    record(tmp_path / "mine-20260102-000000")
    record(tmp_path / "optimized-20260103-000000")
    async with open_folder(tmp_path) as pilot:
        for key in RUNS_KEYS:
            await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))
            await pilot.press("escape", "g")
            await RUNS_CHECKS[key.id](pilot)


def test_every_key_has_a_check() -> None:
    assert set(RUNS_CHECKS) == {key.id for key in ALL_KEYS if key.group == "runs"}
