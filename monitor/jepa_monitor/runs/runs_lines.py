"""The list of runs as lines: when each began, state, progress, best retrieval beside the strongest null, verdict, tags.

Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

import attrs

from jepa_core.figures import figure_text, rank_text
from jepa_core.presentation.null_lines import null_title
from jepa_core.presentation.runs_table import cut_in_the_middle
from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.summary import Order, RunSummary, gain_of, words_of
from jepa_monitor.charts.spec import CURVE_TONES, Tone
from jepa_monitor.chrome.head_line import state_line
from jepa_monitor.panels.line import Line, Span, foreign, line

ORDERS: Mapping[Order, tuple[str, str]] = {
    "date": ("started", "newest first"),
    "name": ("run", "by name"),
    "best": ("best", "highest MRR first"),
    "gain": ("gain", "most above its null first"),
    "state": ("state", "by state"),
}
"""The orders that a key goes through, with the heading that shows each, and the words for it."""

_GAP, _MARK = 2, 3
"""Between two columns, and of the mark before them."""
_LEAST_NAME, _SHORTEST_NAME = 8, 26
"""Columns that a name is never cut below, and where something else can be left out: a word and -YYYYMMDD-HHMMSS."""
_LONGEST = 40
"""Characters of a baseline's name and of a tag."""
_SORTED = "↓"
_OUTCOME_TONES: dict[str, Tone] = {
    "success": "good",
    "regression": "bad",
    "no effect": "warning",
    "damaged": "bad",
}


def _date(run: RunSummary, pattern: str) -> Line:
    return line(Span(local_time(run.started, pattern) if run.started else "", "dim"))


def epochs_text(run: RunSummary) -> str:
    """How far it is, such as "25.3/40"; empty where that is not known."""
    if run.epoch is None:
        return ""
    return figure_text(run.epoch) + (f"/{figure_text(run.total_epochs)}" if run.total_epochs else "")


def gain_line(run: RunSummary) -> Line:
    """Its best figure less the strongest null's; nothing where one of both is not known."""
    gain = gain_of(run)
    if gain is None:
        return line("")
    return line(Span(f"{gain:+.3f}".replace("-", "−"), "good" if gain > 0 else "warning"))


def outcome_line(run: RunSummary) -> Line:
    """The verdict in a word or two, with its judgement's colour."""
    return line(Span(foreign(run.outcome, 2 * _LONGEST), _OUTCOME_TONES.get(run.outcome, "plain")))


def tags_text(run: RunSummary) -> str:
    """All of them, apart by blanks."""
    return " ".join(foreign(tag, _LONGEST) for tag in run.tags)


def _against(run: RunSummary) -> str:
    return f" against {foreign(run.baseline, _LONGEST)}" if run.baseline else ""


def _figure(value: float | None) -> str:
    return "" if value is None else rank_text(value)


@attrs.frozen
class _Column:
    heading: str
    cell: Callable[[RunSummary], Line]
    is_number: bool = False


_COLUMNS: Mapping[str, _Column] = {
    "run": _Column("run", lambda run: line(Span(foreign(run.name, 200), is_bold=run.state == "running"))),
    "date": _Column("started", lambda run: _date(run, "%Y-%m-%d %H:%M")),
    "short date": _Column("started", lambda run: _date(run, "%d %b %H:%M")),
    "state": _Column("state", lambda run: state_line(run.state)),
    "epoch": _Column("epoch", lambda run: line(epochs_text(run)), is_number=True),
    "best": _Column("best", lambda run: line(_figure(run.best_mrr)), is_number=True),
    "gain": _Column("gain", gain_line, is_number=True),
    "null": _Column("null", lambda run: line(Span(_figure(run.null_mrr), "dim")), is_number=True),
    "null's name": _Column("strongest null", lambda run: line(Span(null_title(run.null), "dim"))),
    "outcome": _Column("verdict", outcome_line),
    "verdict": _Column("verdict", lambda run: line(outcome_line(run), Span(_against(run), "dim"))),
    "tags": _Column("tags", lambda run: line(Span(tags_text(run), "second"))),
}
_KEPT = (
    ("run", "date", "state", "epoch", "best", "gain", "null", "null's name", "verdict", "tags"),
    ("run", "date", "state", "epoch", "best", "gain", "null", "verdict", "tags"),
    ("run", "short date", "state", "epoch", "best", "gain", "outcome", "tags"),
    ("run", "short date", "state", "epoch", "best", "gain", "outcome"),
    ("run", "short date", "state", "best", "gain", "outcome"),
    ("run", "state", "best", "gain", "outcome"),
    ("run", "state", "best", "gain"),
    ("run", "state", "best"),
)
"""Columns on wide and on narrower screens; one that is empty in every row is left out of all."""


def matching_runs(runs: Sequence[RunSummary], pattern: re.Pattern[str] | None) -> tuple[RunSummary, ...]:
    """The runs that the pattern finds by name, recipe, state, verdict or tags; all without one."""
    return tuple(run for run in runs if pattern is None or any(map(pattern.search, words_of(run))))


def runs_lines(
    runs: Sequence[RunSummary], marked: Sequence[str], chosen: str, width: int, order: Order = "date"
) -> tuple[Line, ...]:
    """A heading and a line a run, in the order given.

    Args:
        marked: paths of the marked runs, in the order of marking.
        chosen: path of the run under the cursor.
        order: what they are sorted by; the heading says so.
    """
    of_all = {name: [column.cell(run) for run in runs] for name, column in _COLUMNS.items()}
    cells = {name: found for name, found in of_all.items() if any(cell.width for cell in found)}
    sorted_by = ORDERS[order][0] if order in ORDERS else ""
    headings = {name: _heading(_COLUMNS[name], sorted_by) for name in cells}
    widths = {name: max(each.width for each in (headings[name], *cells[name])) for name in cells}
    room = width - _MARK
    shown = _shown(widths, room)
    others = sum(widths[name] + _GAP for name in shown if name != "run")
    widths["run"] = min(widths["run"], max(room - others, _LEAST_NAME))
    rows = [line(" " * _MARK, _row(headings, shown, widths)).fitted(width)]
    for index, run in enumerate(runs):
        row = line(_mark(run, marked), _row({name: cells[name][index] for name in shown}, shown, widths)).fitted(width)
        rows.append(row.toned("plain").chosen() if run.path == chosen else row)
    return tuple(rows)


def _mark(run: RunSummary, marked: Sequence[str]) -> Line:
    if run.path not in marked:
        return line(" " * _MARK)
    return line(Span("━━ ", CURVE_TONES[marked.index(run.path) % len(CURVE_TONES)], is_bold=True))


def _heading(column: _Column, sorted_by: str) -> Line:
    is_sorted = column.heading == sorted_by
    words = f"{_SORTED}{column.heading}" if is_sorted else column.heading
    return line(Span(words, "accent" if is_sorted else "dim"))


def _row(cells: Mapping[str, Line], shown: Sequence[str], widths: Mapping[str, int]) -> Line:
    parts: list[Line] = []
    for name in shown:
        cell, width = cells[name], widths[name]
        if name == "run" and cell.width > width:
            cell = Line(tuple(attrs.evolve(span, text=cut_in_the_middle(span.text, width)) for span in cell.spans))
        padded = line(" " * (width - cell.width), cell) if _COLUMNS[name].is_number else cell.fitted(width)
        parts += [line(" " * _GAP), padded] if parts else [padded]
    return line(*parts)


def _shown(widths: Mapping[str, int], width: int) -> Sequence[str]:
    """The most columns that fit, of which a name may be cut to what tells it."""
    choices = [tuple(name for name in kept if name in widths) for kept in _KEPT]
    allowed = {**widths, "run": min(widths["run"], _SHORTEST_NAME)}
    for names in choices:
        if sum(allowed[name] + _GAP for name in names) - _GAP <= width:
            return names
    return choices[-1]


def runs_head(
    folder: str, runs: Collection[RunSummary], num_shown: int, width: int, remarks: Sequence[str] = ()
) -> Line:
    """The first line: which folder, how many runs, how many of them are at it.

    Args:
        num_shown: how many the filter leaves.
        remarks: how they are shown, such as the filter.
    """
    running = sum(run.state == "running" for run in runs)
    count = f"   {len(runs)} {'run' if len(runs) == 1 else 'runs'}"
    parts = [Span(f" {foreign(folder, 60)}", is_bold=True), Span(count)]
    if running:
        parts.append(Span(f"   ● {running} running", "good"))
    if num_shown != len(runs):
        parts.append(Span(f"   {num_shown} shown", "accent"))
    parts += [Span(f"   {foreign(remark, 60)}", "accent") for remark in remarks]
    return line(*parts).fitted(width)
