"""What the run printed, its newest line at the bottom."""

from __future__ import annotations

from typing import ClassVar

from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.lazy_lines import LazyLines
from jepa_monitor.panels.line import Span, foreign, line
from jepa_monitor.panels.panel import Panel

TAB = " " * 4


def console_content(view: RunView, width: int, look: Look) -> Content:  # noqa: ARG001  # as every panel's
    """The recorded lines, each cut at the right edge."""
    if not view.console:
        return Content(lines=(line(Span("nothing printed yet", "dim")),))
    most = 2 * width
    return Content(
        lines=LazyLines(view.console, lambda text: line(foreign(text[:most].replace("\t", TAB).rstrip(), most)))
    )


class ConsolePanel(Panel):
    """The console text."""

    PANE_TITLE: ClassVar[str] = "console"
    FOLLOWS: ClassVar[bool] = True

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # it scrolls
        return console_content(view, width, look)
