"""The alerts of a run: which there are, which were acknowledged or silenced, and what happened to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from jepa_core.figures import figure_text
from jepa_core.presentation.quantity import duration_text
from jepa_core.run_directory.clock import local_time
from jepa_monitor.alerts import Alert, AlertBook, HistoryEntry, Moment
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import Line, Span, foreign, line, wrapped
from jepa_monitor.panels.severity import mark
from jepa_monitor.screens.sheet import Sheet, key_hints

SNOOZE_MINUTES = 10.0
"""How long the key `s` silences an alert."""

_KEYS = (("a", "acknowledge"), ("A", "all"), ("s", f"silence {SNOOZE_MINUTES:g} min"), ("t", "history"))


def alerts_content(book: AlertBook, chosen: int, width: int, look: Look, now: Moment) -> Content:
    """A line an alert, the newest on top; the message and the advice of the chosen one below its line."""
    alerts = newest_first(book)
    title = line(Span(f"{len(book.active(now))} new of {len(alerts)}", "dim"))
    if not alerts:
        return Content(lines=(line(Span("Nothing wants attention.", "dim")),), foot=key_hints(("t", "history")))
    lines: list[Line] = []
    cursor = 0
    for index, alert in enumerate(alerts):
        row = _alert_line(book, alert, look, now).fitted(width)
        lines.append(row.toned("plain").chosen() if index == chosen else row)
        if index == chosen:
            details = [*wrapped(alert.message, width, indent="    ")]
            details += wrapped(alert.advice, width, tone="accent", indent="    ") if alert.advice else ()
            lines += details
            cursor = len(lines) - 1
    return Content(lines=tuple(lines), title=title, foot=key_hints(*_KEYS), cursor=cursor)


def history_content(book: AlertBook, look: Look) -> Content:
    """What happened to the alerts, the newest on top."""
    lines = tuple(_history_line(entry, look) for entry in reversed(book.history))
    return Content(
        lines=lines or (line(Span("Nothing has happened yet.", "dim")),),
        title=line(Span("history", "dim")),
        foot=key_hints(("t", "alerts")),
    )


def newest_first(book: AlertBook) -> tuple[Alert, ...]:
    """In the order in which the screen lists them."""
    return tuple(reversed(book.alerts))


def _alert_line(book: AlertBook, alert: Alert, look: Look, now: Moment) -> Line:
    state = book.state_of(alert, now)
    words = f"silent for {duration_text(book.seconds_left(alert, now))}" if state == "snoozed" else state
    row = line(
        mark(alert.severity, look),
        " ",
        Span("" if alert.time is None else f"{local_time(alert.time, '%H:%M:%S')} ", "dim"),
        Span(foreign(alert.subject, 40), is_bold=state == "new"),
        Span("" if alert.step is None else f"  step {figure_text(alert.step)}", "dim"),
        Span(f"  {words}", "accent" if state == "new" else "dim"),
        f"  {foreign(alert.message, 200)}",
    )
    return row if state == "new" else row.toned("dim")


def _history_line(entry: HistoryEntry, look: Look) -> Line:
    return line(
        Span(local_time(entry.time), "dim"),
        " ",
        mark(entry.alert.severity, look),
        f" {entry.action} ",
        Span(f"{entry.detail} " if entry.detail else "", "dim"),
        Span(foreign(entry.alert.subject, 40), is_bold=True),
        f"  {foreign(entry.alert.message, 200)}",
    )


class AlertsScreen(Sheet):
    """The alerts. What its keys ask for goes to the application as messages, which answers with `show_book`."""

    SHEET_TITLE: ClassVar[str] = "alerts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "choose(1)", "next alert", priority=True),
        Binding("up,k", "choose(-1)", "alert before", priority=True),
        Binding("a", "acknowledge", "acknowledge"),
        Binding("A", "acknowledge_all", "acknowledge all"),
        Binding("s", "snooze", f"silence for {SNOOZE_MINUTES:g} minutes"),
        Binding("t", "toggle_history", "history"),
    ]

    class Acknowledged(Message):
        """These alerts were seen."""

        def __init__(self, keys: Iterable[str]) -> None:
            super().__init__()
            self.keys = tuple(keys)

    class Snoozed(Message):
        """This alert's subject shall be silent for a while."""

        def __init__(self, key: str, minutes: float) -> None:
            super().__init__()
            self.key = key
            self.minutes = minutes

    def __init__(self, view: RunView, look: Look, book: AlertBook) -> None:
        super().__init__(view, look)
        self._book = book
        self._chosen = book.alerts[-1].key if book.alerts else ""
        self._shows_history = False

    def on_mount(self) -> None:
        self.set_interval(1.0, self.redraw)

    def show_book(self, book: AlertBook) -> None:
        """Show the alerts as they stand now; the chosen one stays chosen."""
        self._book = book
        self.redraw()

    def content(self, width: int, height: int) -> Content:  # noqa: ARG002  # it scrolls
        if self._shows_history:
            return history_content(self._book, self.look)
        return alerts_content(self._book, self._chosen_index, width, self.look, Moment.read())

    @property
    def _chosen_index(self) -> int:
        keys = [alert.key for alert in newest_first(self._book)]
        return keys.index(self._chosen) if self._chosen in keys else 0

    def action_choose(self, by: int) -> None:
        if self._shows_history:
            self._body.action_scroll_rows(by)
            return
        alerts = newest_first(self._book)
        if alerts:
            self._chosen = alerts[min(max(self._chosen_index + by, 0), len(alerts) - 1)].key
            self.redraw()

    def action_acknowledge(self) -> None:
        if self._book.alerts:
            self.post_message(self.Acknowledged([newest_first(self._book)[self._chosen_index].key]))

    def action_acknowledge_all(self) -> None:
        self.post_message(self.Acknowledged(alert.key for alert in self._book.alerts))

    def action_snooze(self) -> None:
        if self._book.alerts:
            key = newest_first(self._book)[self._chosen_index].key
            self.post_message(self.Snoozed(key, SNOOZE_MINUTES))

    def action_toggle_history(self) -> None:
        self._shows_history = not self._shows_history
        self.redraw()
