"""An application that shows one screen, and what stands on it; and a real run directory with a scenario that fired."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.widget import Widget

from jepa_core.run_directory.settled import SCRIPTED
from jepa_core.run_directory.writing import RunWriter
from jepa_monitor.alerts import AlertBook, Moment
from jepa_monitor.demo.leg import write_checkpoint
from jepa_monitor.panels.framed_lines import FramedLines
from jepa_monitor.screens.alerts import AlertsScreen
from jepa_monitor.screens.sheet import Sheet
from tests.monitor.panels.views import FIRING_B

RECIPE = """
name = "mine"

[data]
kind = "traces"

[encoder]
kind = "cells"

[losses.relational]
weight = 0.02

[losses.info_nce]
weight = 1.0

[[watch.rollback]]
id = "B"
title = "relational loss near zero"
when = "loss.relational < 0.01"
advice = "Raise the weights back."
set = { losses = { relational = { weight = 0.025 } } }
"""


class Stage(App[None]):
    """Shows a sheet, and keeps the book of alerts as the dashboard does."""

    def __init__(self, sheet: Sheet, book: AlertBook | None = None) -> None:
        super().__init__()
        self.sheet = sheet
        self.book = book or AlertBook()
        self.copied: list[str] = []

    def on_mount(self) -> None:
        self.push_screen(self.sheet)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)

    def on_alerts_screen_acknowledged(self, message: AlertsScreen.Acknowledged) -> None:
        self._keep(self.book.acknowledge(message.keys, Moment.read()))

    def on_alerts_screen_snoozed(self, message: AlertsScreen.Snoozed) -> None:
        self._keep(self.book.snooze(message.key, message.minutes, Moment.read()))

    def _keep(self, book: AlertBook) -> None:
        self.book = book
        assert isinstance(self.sheet, AlertsScreen)
        self.sheet.show_book(book)


def drawn_rows(widgets: Iterable[Widget]) -> list[str]:
    """Every row of these widgets as it goes to the terminal."""
    return [widget.render_line(row).text for widget in widgets for row in range(widget.size.height)]


def text_on(screen: Sheet) -> str:
    """What stands on a sheet."""
    return "\n".join(drawn_rows(screen.query(FramedLines)))


async def until(pilot: Pilot[Any], holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for what a worker thread brings."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        await pilot.pause(0.01)


def run_with_firing(folder: Path, *, checkpoint_step: int | None = 600, state: str = "running") -> Path:
    """A run in which B fired at step 640, with its first sign at step 620, and a verified checkpoint."""
    path = folder / "mine-20261122-214501"
    path.mkdir()
    with RunWriter(path, recipe="mine", total_steps=1440, total_epochs=15) as run:
        run.write_recipe(RECIPE)
        run.write_environment({SCRIPTED: True})
        run.event("started", "info", "off we go", step=0)
        for row in FIRING_B.evidence["rows"]:
            run.row(row)
        run.firing(FIRING_B)
        run.status.update(state=state, pid=os.getpid(), host=socket.gethostname(), step=640)
    if checkpoint_step is not None:
        (path / "checkpoints").mkdir()
        write_checkpoint(path / "checkpoints", checkpoint_step, 6.0)
    return path


def words_on(screen: Sheet) -> str:
    """What stands on a sheet as one text: without its frame, and however its rows are wrapped."""
    return " ".join(text_on(screen).replace("│", " ").split())
