"""What stands where the charts will be."""

from __future__ import annotations

import time
from pathlib import Path

from jepa_core.run_directory.clock import local_time
from jepa_monitor.app import MonitorApp
from jepa_monitor.board.no_charts import no_charts_content
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from tests.monitor.driving import awaited, open_run, run_screen, screen_text, until
from tests.monitor.recorded import append, record, rows
from tests.monitor.views import view_of


def text_of(view: RunView, filter_text: str = "") -> str:
    content = no_charts_content([view], filter_text, 100, Look(), view.status.started + 125 if view.status else 0.0)
    return "\n".join(row.text for row in content.lines)


def test_before_the_first_row_it_says_what_the_run_is_doing_and_since_when(tmp_path: Path) -> None:
    now = time.time()
    text = text_of(view_of(tmp_path / "mine", recorded=[], state="running", started=now - 125, heartbeat=now - 5))
    assert f"since {local_time(now - 125, '%H:%M:%S')}, 2 min 5 s" in text
    assert "last sign of life 5 s ago" in text
    assert "Training starts: 400 steps." in text
    assert "epoch 4/4  step 400" in text


def test_an_ended_run_without_a_row_says_so(tmp_path: Path) -> None:
    text = text_of(view_of(tmp_path / "mine", recorded=[], state="failed"))
    assert "failed" in text
    assert "has not recorded a single row" in text


@awaited
async def test_the_charts_come_with_the_first_row(tmp_path: Path) -> None:
    run = record(tmp_path / "mine", [], state="running", heartbeat=time.time())
    async with MonitorApp(run).run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "No row of metrics yet" in screen_text(pilot.app))
        append(run, rows()[0])
        await until(pilot, lambda: "loss.relational" in screen_text(pilot.app))
        assert "No row of metrics yet" not in screen_text(pilot.app)


@awaited
async def test_a_filter_without_a_match_says_so_and_what_there_is(tmp_path: Path) -> None:
    async with open_run(record(tmp_path / "mine")) as pilot:
        await pilot.press("slash", *"zzz", "enter")
        await until(pilot, lambda: "No metric matches /zzz/" in screen_text(pilot.app))
        assert "grad.norm" in screen_text(pilot.app)
        await pilot.press("escape")
        await until(pilot, lambda: len(run_screen(pilot).board.titles) > 3)
        assert "No metric matches" not in screen_text(pilot.app)
