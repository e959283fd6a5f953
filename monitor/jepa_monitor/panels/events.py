"""What happened to the run, in words: the newest at the bottom, what was acknowledged dim.

Of checkpoints only the newest is listed unless all are asked for: there are many, and they say little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import ClassVar

from textual.binding import Binding, BindingType

from jepa_core.figures import figure_text
from jepa_core.recorded_numbers import decode_number
from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.events import Event
from jepa_monitor.alerts import AlertBook, event_key
from jepa_monitor.charts.look import Look
from jepa_monitor.model.awaited import nothing_yet
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.lazy_lines import LazyLines
from jepa_monitor.panels.line import NOTHING, Line, Span, foreign, line, wrapped
from jepa_monitor.panels.panel import Panel
from jepa_monitor.panels.severity import mark
from jepa_monitor.sieves import SIEVES, Sieve, sifted

_INDENT = " " * 11
_BEFORE_MESSAGE = 24
_WIDE = 60
"""Least columns at which times have seconds, and events their step."""
_SEVERE = ("critical", "warning", "info")


def events_content(
    view: RunView,
    width: int,
    look: Look,
    acknowledged: Set[str] = frozenset(),
    *,
    sieve: Sieve = "without older checkpoints",
    is_whole: bool = False,
    height: int = 0,
) -> Content:
    """A line an event, or with `is_whole` all that it says; what `acknowledged` has the key of is dim. Where lines
    of `height` are left, messages that would be cut go on below: the most severe first, then the newest."""
    if not view.events:
        return Content(lines=wrapped(nothing_yet("event", view), width, tone="dim"))
    is_wide = width >= _WIDE
    events = sifted(view.events, sieve)
    hidden = len(view.events) - len(events)
    title = line(Span(sieve if sieve != SIEVES[0] or is_wide else "", "dim"))
    foot = line(
        Span("w", "accent", is_bold=True),
        Span(f" which{f' ({hidden} hidden)' if hidden else ''}   ", "dim"),
        Span("enter", "accent", is_bold=True),
        Span(" one line each" if is_whole else " whole", "dim"),
    )
    foot = foot if is_wide else NOTHING
    if not events:
        return Content(lines=(line(Span(f"no event among {hidden} is of this kind", "dim")),), title=title, foot=foot)

    def drawn(event: Event, *, says_message: bool = True) -> Line:
        row = event_line(event, look, is_wide=is_wide, says_message=says_message)
        return row.toned("dim") if event_key(event) in acknowledged else row

    if is_whole:
        rows = tuple(
            row for event in events for row in (drawn(event, says_message=_fits(event, width)), *_details(event, width))
        )
        return Content(lines=rows, title=title, foot=foot)
    if len(events) <= height:
        rows = _unfolded(events, drawn, width, height - len(events), _INDENT if is_wide else _INDENT[: len("HH:MM ! ")])
        return Content(lines=rows, title=title, foot=foot)
    return Content(lines=LazyLines(events, drawn), title=title, foot=foot)


def _unfolded(
    events: Sequence[Event], drawn: Callable[..., Line], width: int, left: int, indent: str
) -> tuple[Line, ...]:
    """A line an event, and as many more as are `left` for messages that it would cut."""
    rows: list[tuple[Line, ...]] = [(drawn(event),) for event in events]
    for index in sorted(range(len(events)), key=lambda index: (_SEVERE.index(events[index].severity), -index)):
        if left and rows[index][0].width > width:
            below = wrapped(events[index].message, width, indent=indent)
            if len(below) > left:
                below = (*below[: left - 1], line(below[left - 1], "…"))
            rows[index] = (drawn(events[index], says_message=False), *below)
            left -= len(below)
    return tuple(row for of_event in rows for row in of_event)


def _fits(event: Event, width: int) -> bool:
    """Whether the message has room in the event's line."""
    return len(event.message) + _BEFORE_MESSAGE + len(event.name) <= width


def _details(event: Event, width: int) -> Iterator[Line]:
    """All that an event says beside its line: the message where it is cut off, the advice, the evidence in figures."""
    if not _fits(event, width):
        yield from wrapped(event.message, width, indent=_INDENT)
    if event.advice:
        yield from wrapped(event.advice, width, tone="accent", indent=_INDENT)
    figures = [(name, decode_number(value)) for name, value in event.evidence.items()]
    told = "   ".join(
        f"{foreign(name, 40)} {figure_text(value, of=name)}" for name, value in figures if value is not None
    )
    if told:
        yield from wrapped(told, width, tone="dim", indent=_INDENT)


def event_line(event: Event, look: Look, *, is_wide: bool, says_message: bool = True) -> Line:
    """One event; where it `is_wide`, with seconds and its step."""
    name, message = foreign(event.name, 40), foreign(event.message) if says_message else ""
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
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "next_sieve", "which events are listed", show=False),
        Binding("enter", "toggle_whole", "all that they say", show=False),
    ]
    _acknowledged: Set[str] = frozenset()
    _sieve: Sieve = SIEVES[0]
    _is_whole = False

    def action_next_sieve(self) -> None:
        self._sieve = SIEVES[(SIEVES.index(self._sieve) + 1) % len(SIEVES)]
        self.redraw()

    def action_toggle_whole(self) -> None:
        self._is_whole = not self._is_whole
        self.redraw()

    def mark_acknowledged(self, book: AlertBook) -> None:
        """Dim the events whose alerts were acknowledged."""
        if book.acknowledged != self._acknowledged:
            self._acknowledged = book.acknowledged
            self.redraw()

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:
        return events_content(
            view, width, look, self._acknowledged, sieve=self._sieve, is_whole=self._is_whole, height=height
        )
