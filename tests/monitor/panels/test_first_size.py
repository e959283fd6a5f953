"""Textual does not tell a new widget its first size where something asks for the layout before it is laid out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App
from textual.events import Resize
from textual.widget import Widget

from jepa_monitor.charts.look import Look
from jepa_monitor.chrome.one_line import OneLine
from jepa_monitor.panels.line import line
from jepa_monitor.panels.losses import LossesPanel
from jepa_monitor.panels.panel import Panel
from tests.monitor.driving import awaited, screen_text, until
from tests.monitor.panels.views import a_view

LOOK = Look()


def a_panel() -> Panel:
    panel = LossesPanel()
    panel.show(a_view(finals={"loss.total": 1.0, "loss.info_nce": 1.0}), LOOK)
    return panel


def a_line() -> OneLine:
    return OneLine(lambda _width: line("what it says"), LOOK)


@pytest.mark.parametrize(("make", "words"), [(a_panel, "info_nce"), (a_line, "what it says")])
@awaited
async def test_a_widget_that_is_not_told_its_first_size_shows_what_it_has(
    make: Callable[[], Widget], words: str
) -> None:
    app: App[Any] = App()
    async with app.run_test(size=(60, 12)) as pilot:
        widget = make()
        widget.disable_messages(Resize)
        app.screen.mount(widget)
        await until(pilot, lambda: words in screen_text(app))
