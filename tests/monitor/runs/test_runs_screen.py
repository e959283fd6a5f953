from __future__ import annotations

import functools
from pathlib import Path

import orjson
import pytest
from textual.pilot import Pilot

from tests.monitor.driving import awaited, open_folder, runs_screen, screen_text, until
from tests.monitor.recorded import NOON, record, rows


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """The middle one is the best, and tagged, but below its null; the oldest one is at work."""
    record(tmp_path / "c-20260101-000000", rows(200), state="running", started=NOON)
    path = record(
        tmp_path / "b-20260102-000000",
        change=lambda row: row | {"val.retrieval.null_mrr": 0.5},
        started=NOON + 60,
    )
    (path / "environment.json").write_bytes(orjson.dumps({"tags": ["sweep"]}))
    record(tmp_path / "a-20260103-000000", rows(300), started=NOON + 120)
    return tmp_path


def in_order(text: str) -> str:
    """First letters of the runs of the list, from the top."""
    found = sorted((text.index(f"{name}-2026010"), name) for name in "abc" if f"{name}-2026010" in text)
    return "".join(name for _, name in found)


def shows(pilot: Pilot[None], words: str) -> bool:
    return words in screen_text(pilot.app)


@awaited
async def test_a_key_sorts_and_the_screen_says_by_what(three: Path) -> None:
    async with open_folder(three) as pilot:
        await pilot.press("p")
        for words, order in (
            ("newest first", "abc"),
            ("by name", "abc"),
            ("highest MRR first", "bac"),
            ("most above its null first", "acb"),
            ("by state", "cab"),
            ("newest first", "abc"),
        ):
            await until(pilot, functools.partial(shows, pilot, words))
            assert in_order(screen_text(pilot.app)) == order, words
            await pilot.press("s")


@awaited
async def test_the_cursor_stays_on_its_run_when_the_list_is_sorted(three: Path) -> None:
    async with open_folder(three) as pilot:
        await pilot.press("down")
        before = runs_screen(pilot).chosen
        await pilot.press("s", "s")
        assert runs_screen(pilot).chosen == before


@awaited
async def test_a_filter_matches_tags_and_one_without_a_match_says_what_to_do(three: Path) -> None:
    async with open_folder(three) as pilot:
        await pilot.press("slash", *"sweep", "enter")
        await until(pilot, lambda: "1 shown" in screen_text(pilot.app))
        assert Path(runs_screen(pilot).chosen).name.startswith("b-")
        await pilot.press("slash", *"ing", "enter")
        await until(pilot, lambda: "None of 3 runs matches /sweeping/" in screen_text(pilot.app))
        assert "esc takes the filter away, / changes it." in screen_text(pilot.app)
        await pilot.press("escape")
        await until(pilot, lambda: "a-2026" in screen_text(pilot.app))


@awaited
async def test_the_preview_follows_the_cursor_and_its_charts_are_read(three: Path) -> None:
    async with open_folder(three) as pilot:
        await until(pilot, lambda: "val.retrieval.mrr" in screen_text(pilot.app))
        await pilot.press("down")
        await until(pilot, lambda: "tags     sweep" in screen_text(pilot.app))
        await until(pilot, lambda: "val.retrieval.mrr" in screen_text(pilot.app))
        await pilot.press("p")
        await until(pilot, lambda: "val.retrieval.mrr" not in screen_text(pilot.app))


@awaited
async def test_the_key_line_has_what_can_be_done_now(three: Path) -> None:
    async with open_folder(three, size=(80, 24)) as pilot:
        assert "overlay" not in screen_text(pilot.app)
        await pilot.press("m", "m")
        last = screen_text(pilot.app).splitlines()[-1]
        assert "o overlay" in last
        assert "d recipe" in last
        assert "esc clear" in last


@awaited
async def test_a_row_that_is_clicked_is_under_the_cursor(three: Path) -> None:
    async with open_folder(three) as pilot:
        await pilot.click(offset=(10, 4))
        assert Path(runs_screen(pilot).chosen).name.startswith("b-")


@awaited
async def test_the_heading_stays_when_the_list_is_scrolled(tmp_path: Path) -> None:
    for number in range(10, 40):
        record(tmp_path / f"mine-202601{number}-000000", rows(100))
    async with open_folder(tmp_path, size=(80, 24)) as pilot:
        await pilot.press("G")
        await until(pilot, lambda: "mine-20260110" in screen_text(pilot.app))
        assert screen_text(pilot.app).splitlines()[2].split()[1:3] == ["run", "↓started"]
        assert "of 30" in screen_text(pilot.app)
