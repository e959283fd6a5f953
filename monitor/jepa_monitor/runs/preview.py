"""The run under the cursor beside the list: what its line has no room for, how its rules stand, and its first charts.

The words come from the list's own figures at once; rules and charts when the run is read, on a thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from textual.message import Message

from jepa_core.figures import rank_text
from jepa_core.presentation.null_lines import null_title
from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.status import ALIVE
from jepa_core.run_directory.summary import RunSummary
from jepa_monitor.board.chart_choice import groups_of
from jepa_monitor.board.chart_specs import ChartSpecs, shown_runs
from jepa_monitor.board.rules_bar import prospect_mark
from jepa_monitor.board.run_readers import Opening, RunReaders
from jepa_monitor.board.run_watcher import RunWatcher
from jepa_monitor.board.trouble import trouble_by_name, trouble_of
from jepa_monitor.charts.drawing import draw_chart
from jepa_monitor.charts.look import Look
from jepa_monitor.chrome.head_line import state_line
from jepa_monitor.display import Display
from jepa_monitor.model.run_view import Outlook, RunView
from jepa_monitor.panels.events import event_line
from jepa_monitor.panels.framed_lines import Content, FramedLines
from jepa_monitor.panels.line import NOTHING, Line, Span, drawn, foreign, line, wrapped
from jepa_monitor.progress_text import age_text, seconds_left
from jepa_monitor.runs.runs_lines import epochs_text, gain_line, outcome_line, tags_text

READ_SECONDS = 0.15
"""How long the cursor rests on a run before its files are read: who scrolls through a list reads none."""
_LEAST_CHART, _MOST_CHART = 7, 11
"""Rows of a chart."""
_MOST_CHARTS = 3
_BESIDE_FROM = 70
"""Columns from which on words and charts stand side by side where there are few rows."""
_WORDS_WIDTH = 36
_FEW_ROWS = 14


def preview_content(run: RunSummary, view: RunView | None, width: int, height: int, look: Look) -> Content:
    """What to show of the run in `width` × `height` cells; `view` is None until it is read."""
    is_beside = width >= _BESIDE_FROM and height < _FEW_ROWS
    words = tuple(row.fitted(_WORDS_WIDTH) for row in _words(run, view, _WORDS_WIDTH, look)) if is_beside else ()
    if is_beside:
        charts = _charts(view, width - _WORDS_WIDTH - 2, height, look)
        blank = NOTHING.fitted(_WORDS_WIDTH)
        rows = max(len(words), len(charts))
        left = (*words, *[blank] * (rows - len(words)))
        right = (*charts, *[NOTHING] * (rows - len(charts)))
        lines = tuple(line(one, "  ", other) for one, other in zip(left, right, strict=True))
        return Content(lines=lines)
    words = tuple(_words(run, view, width, look))
    charts = _charts(view, width, height - len(words) - 1, look)
    return Content(lines=(*words, *((NOTHING, *charts) if charts else ())))


def _words(run: RunSummary, view: RunView | None, width: int, look: Look) -> Iterator[Line]:
    epochs = epochs_text(run)
    state, took = line(state_line(run.state), f"  epoch {epochs}" if epochs else ""), Span(_time_text(view), "dim")
    whole = line(state, took)
    yield from (whole,) if whole.width <= width else (state, line(took))
    if run.best_mrr is not None:
        yield line(Span("best MRR ", "dim"), Span(rank_text(run.best_mrr), is_bold=True), "  ", gain_line(run))
    else:
        yield line(Span("no validation yet", "dim"))
    if run.null_mrr is not None:
        yield line(Span(f"null     {rank_text(run.null_mrr)}  {null_title(run.null)}", "dim"))
    if run.outcome:
        against = f" against {foreign(run.baseline, 40)}" if run.baseline else ""
        verdict = line(Span("verdict  ", "dim"), outcome_line(run))
        whole = line(verdict, Span(against, "dim"))
        yield whole if whole.width <= width else verdict
    if view is not None:
        yield from _rules(view, width)
    if run.started:
        yield line(Span("started  ", "dim"), local_time(run.started, "%Y-%m-%d %H:%M:%S"))
    if run.recipe:
        yield line(Span("recipe   ", "dim"), foreign(run.recipe, 60))
    if run.tags:
        yield line(Span("tags     ", "dim"), Span(tags_text(run), "second"))
    event = next((each for each in reversed(view.events if view else ()) if each.severity != "info"), None)
    if event is not None:
        yield from wrapped(event_line(event, look, is_wide=False).text, width, tone="warning", most=2)


def _time_text(view: RunView | None) -> str:
    """How long it takes still, or took."""
    if view is None or view.status is None:
        return ""
    left = seconds_left(view)
    if left is not None:
        return f"  {age_text(left)} left"
    took = view.status.heartbeat - view.status.started
    return f"  took {age_text(took)}" if view.state not in ALIVE and view.status.started and took >= 1 else ""


def _rules(view: RunView, width: int) -> Iterator[Line]:
    """How many musts stand how, and those in trouble by name."""
    musts = [outlook for outlook in view.outlooks if outlook.judgement.kind == "must"]
    troubled = [outlook for outlook in musts if outlook.prospect in ("failed", "at risk")]
    fired = [outlook for outlook in view.outlooks if outlook.prospect == "fired" and _is_grave(outlook)]
    counts = Counter(outlook.prospect for outlook in musts)
    marks = [line(prospect_mark(prospect), f" {count}  ") for prospect, count in sorted(counts.items())]
    if marks:
        yield line(Span("musts    ", "dim"), *marks)
    for outlook in (*fired, *troubled)[:3]:
        title = foreign(outlook.judgement.title or outlook.judgement.id, 80)
        yield line("  ", prospect_mark(outlook.prospect), f" {title}").fitted(width)


def _is_grave(outlook: Outlook) -> bool:
    return outlook.judgement.kind in ("abort", "rollback")


def _charts(view: RunView | None, width: int, height: int, look: Look) -> tuple[Line, ...]:
    """The charts that matter most, one below the other, as many as have room."""
    count = min(height // _LEAST_CHART, _MOST_CHARTS)
    if view is None or count < 1:
        return ()
    runs, troubles = shown_runs([view], Display()), trouble_by_name(view.outlooks)
    groups = [group for group in groups_of([view]) if group.matters][:count]
    tall = min(height // max(len(groups), 1), _MOST_CHART)
    specs = [ChartSpecs().spec(group, runs, Display(), trouble_of(group.names, troubles)) for group in groups]
    return tuple(row for spec in specs for row in drawn(draw_chart(spec, width, tall, look)))


class Preview(FramedLines, can_focus=False):
    """Shows a run, and reads it on a thread of its own while it is shown."""

    class News(Message):
        """Something came of reading the run."""

        def __init__(self, watcher: RunWatcher) -> None:
            super().__init__()
            self.watcher = watcher

    def __init__(self) -> None:
        super().__init__("")
        self._run: RunSummary | None = None
        self._readers: RunReaders | None = None

    def on_unmount(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Read no more."""
        if self._readers is not None:
            self._readers.stop()
        self._readers = None

    def show(self, run: RunSummary | None, look: Look) -> None:
        """Show this run, or none."""
        is_same = run is not None and self._run is not None and run.path == self._run.path
        self._run = run
        self._title = foreign(run.name, 200) if run else "no run"
        if not is_same:
            self.stop()
        if run is not None and self._readers is None:
            self._readers = RunReaders([Opening(Path(run.path))], lambda watcher: self.post_message(self.News(watcher)))
            readers = self._readers
            self.set_timer(READ_SECONDS, lambda: self._start(readers))
        self.redraw(look)

    def _start(self, readers: RunReaders) -> None:
        if readers is self._readers:
            readers.start()

    def on_preview_news(self, message: News) -> None:
        if self._readers is not None and self._readers.take(message.watcher):
            self.redraw()

    def draw(self, width: int, height: int, look: Look) -> Content:
        """The run's figures, rules and charts."""
        if self._run is None:
            return Content()
        view = self._readers.view if self._readers is not None else None
        return preview_content(self._run, view, width, height, look)
