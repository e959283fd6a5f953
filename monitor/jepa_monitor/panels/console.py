"""What the run printed, its newest line at the bottom."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

from jepa_monitor.charts.look import Look
from jepa_monitor.model.awaited import nothing_yet
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import Line, foreign, line, wrapped
from jepa_monitor.panels.panel import Panel

TAB = " " * 4
_MOST_ROWS = 12
"""Of one printed line; what is longer is cut."""
_HANGING = 2
_CACHED = 4096


def console_content(view: RunView, width: int, look: Look) -> Content:  # noqa: ARG001  # as every panel's
    """The recorded lines; one that is too long goes on below, a little further in."""
    if not view.console:
        return Content(lines=wrapped(nothing_yet("output", view), width, tone="dim"))
    return Content(lines=tuple(row for text in view.console for row in _rows(text, width)))


@lru_cache(maxsize=_CACHED)
def _rows(printed: str, width: int) -> tuple[Line, ...]:
    limit = _MOST_ROWS * width
    text = foreign(printed[:limit].replace("\t", TAB).rstrip(), limit)
    whole = line(text)
    body = text.lstrip()
    margin = min(len(text) - len(body), width // 2)
    if whole.width <= width or margin + _HANGING >= width:
        return (whole,)
    first, *rest = wrapped(body, width - margin - _HANGING, most=_MOST_ROWS)
    return (line(" " * margin, first), *(line(" " * (margin + _HANGING), row) for row in rest))


class ConsolePanel(Panel):
    """The console text."""

    PANE_TITLE: ClassVar[str] = "console"
    FOLLOWS: ClassVar[bool] = True

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # it scrolls
        return console_content(view, width, look)
