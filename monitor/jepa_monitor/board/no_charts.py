"""What stands where the charts will be, while there are none: what the run is doing, or why nothing is chosen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.status import ALIVE
from jepa_monitor.charts.look import Look
from jepa_monitor.chrome.head_line import state_line
from jepa_monitor.model.awaited import nothing_yet, sentence
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.events import event_line
from jepa_monitor.panels.framed_lines import Content, FramedLines
from jepa_monitor.panels.line import NOTHING, Line, Span, foreign, line, wrapped
from jepa_monitor.progress_text import age_text

_REDRAW_SECONDS = 1.0
"""Between two redraws: what says how long ago something was grows old by itself."""
_MOST_EVENTS, _MOST_CONSOLE = 6, 8
_MOST_NAMES = 40


def no_charts_content(views: Sequence[RunView], filter_text: str, width: int, look: Look, now: float) -> Content:
    """Why there is no chart, in sentences.

    Args:
        views: the runs on the screen, at least one.
        filter_text: the regular expression over names of metrics; empty for none.
        now: seconds since 1970.
    """
    names = sorted({name for view in views for name in view.history.names})
    if filter_text and names:
        return Content(lines=tuple(_no_match(filter_text, names, width)))
    if names:
        words = f"No value has changed so far, of {len(names)} metrics. / and a dot show them all."
        return Content(lines=wrapped(words, width))
    return Content(lines=tuple(_no_rows(views[0], width, look, now)))


def _no_match(filter_text: str, names: Sequence[str], width: int) -> Iterator[Line]:
    yield from wrapped(f"No metric matches /{filter_text}/. esc takes the filter away, / changes it.", width)
    yield NOTHING
    shown = "  ".join(foreign(name, 60) for name in names[:_MOST_NAMES])
    yield from wrapped(f"recorded: {shown}", width, tone="dim")


def _no_rows(view: RunView, width: int, look: Look, now: float) -> Iterator[Line]:
    """What a run without a single row is at: its state, its last events, what it printed."""
    status, is_alive = view.status, view.state in ALIVE
    started = status.started if status else 0.0
    since = f" since {local_time(started, '%H:%M:%S')}, {age_text(max(now - started, 0.0))}" if started else ""
    yield line(state_line(view.state), Span(since if is_alive else "", "dim"))
    if is_alive:
        yield from wrapped(sentence(nothing_yet("row of metrics", view)), width)
    else:
        yield from wrapped("The run has not recorded a single row of metrics.", width)
    if is_alive and status and status.heartbeat:
        yield line(Span(f"last sign of life {age_text(max(now - status.heartbeat, 0.0))} ago", "dim"))
    yield from _block("events", [event_line(event, look, is_wide=True) for event in view.events[-_MOST_EVENTS:]])
    printed = [text for text in view.console if text.strip()][-_MOST_CONSOLE:]
    yield from _block("console", [line(foreign(text.rstrip(), 2 * width)) for text in printed])
    if not view.events and not printed:
        yield NOTHING
        yield line(Span("no event and no output yet", "dim"))


def _block(title: str, lines: Sequence[Line]) -> Iterator[Line]:
    if lines:
        yield NOTHING
        yield line(Span(title, is_bold=True))
        yield from (line("  ", each) for each in lines)


class NoCharts(FramedLines, can_focus=False):
    """Stands in the place of the charts."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__("no charts yet")
        self._clock = clock
        self._views: tuple[RunView, ...] = ()
        self._filter = ""

    def on_mount(self) -> None:
        self.set_interval(_REDRAW_SECONDS, self._grow_old)

    def show(self, views: Sequence[RunView], filter_text: str, look: Look) -> None:
        """Show why there is no chart of these runs."""
        self._views, self._filter = tuple(views), filter_text
        self._title = "no such chart" if filter_text else "no charts yet"
        self.redraw(look)

    def draw(self, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # it scrolls
        """Sentences."""
        if not self._views:
            return Content()
        return no_charts_content(self._views, self._filter, width, look, self._clock())

    def _grow_old(self) -> None:
        if self.display:
            self.redraw()
