"""What happened to the run, in words: the newest at the bottom, what was acknowledged dim."""

from __future__ import annotations

from collections.abc import Set
from typing import ClassVar

from jepa_core.presentation.figures import figure_text
from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.events import Event
from jepa_monitor.alerts import AlertBook, event_key
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.lazy_lines import LazyLines
from jepa_monitor.panels.line import Line, Span, foreign, line
from jepa_monitor.panels.panel import Panel
from jepa_monitor.panels.severity import mark

_WIDE = 60
"""Least columns at which times have seconds, and events their step."""


def events_content(view: RunView, width: int, look: Look, acknowledged: Set[str] = frozenset()) -> Content:
    """A line an event; what `acknowledged` has the key of is dim."""
    if not view.events:
        return Content(lines=(line(Span("no event yet", "dim")),))
    is_wide = width >= _WIDE

    def drawn(event: Event) -> Line:
        row = event_line(event, look, is_wide=is_wide)
        return row.toned("dim") if event_key(event) in acknowledged else row

    return Content(lines=LazyLines(view.events, drawn))


def event_line(event: Event, look: Look, *, is_wide: bool) -> Line:
    """One event; where it `is_wide`, with seconds and its step."""
    name, message = foreign(event.name, 40), foreign(event.message)
    says_name = message.casefold().startswith(name.casefold())
    parts = (
        Span("" if says_name else name, is_bold=event.severity != "info"),
        Span(_step(event.step, message) if is_wide else "", "dim"),
        Span(message),
    )
    said = [part for part in parts if part.text]
    return line(
        Span(local_time(event.time, "%H:%M:%S" if is_wide else "%H:%M"), "dim"),
        " ",
        mark(event.severity, look),
        " ",
        *(piece for index, part in enumerate(said) for piece in ("  " if index else "", part)),
    )


def _step(step: float | None, message: str) -> str:
    """The step in words, unless the message says it."""
    if step is None or f"step {step:.0f}" in message:
        return ""
    return f"step {figure_text(step)}"


class EventsPanel(Panel):
    """The events log."""

    PANE_TITLE: ClassVar[str] = "events"
    FOLLOWS: ClassVar[bool] = True
    _acknowledged: Set[str] = frozenset()

    def mark_acknowledged(self, book: AlertBook) -> None:
        """Dim the events whose alerts were acknowledged."""
        if book.acknowledged != self._acknowledged:
            self._acknowledged = book.acknowledged
            self.redraw()

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # it scrolls
        return events_content(view, width, look, self._acknowledged)
