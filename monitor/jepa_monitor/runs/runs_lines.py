"""The list of runs as lines: state, progress, best retrieval beside the strongest null, verdict. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from jepa_core.presentation.figures import figure_text
from jepa_core.presentation.null_lines import null_title
from jepa_core.run_directory.summary import RunSummary
from jepa_monitor.charts.spec import CURVE_TONES, Tone
from jepa_monitor.chrome.head_line import STATE_TONES, state_line
from jepa_monitor.panels.line import Line, Span, foreign, line

_HEADINGS = ("", "run", "state", "epoch", "best MRR", "null", "strongest null", "verdict")
_RIGHT = frozenset({3, 4, 5})
_VERDICT = 7
_KEPT = ((0, 1, 2, 3, 4, 5, 6, 7), (0, 1, 2, 3, 4, 5, 7), (0, 1, 2, 3, 4, 7), (0, 1, 2, 4, 7))
"""Columns on wide and on narrower screens."""
_READABLE_VERDICT = 10
"""Columns that show which verdict it is; against what may be cut."""
_WIDE = 100
_OUTCOME_TONES: dict[str, Tone] = {
    "success": "good",
    "regression": "bad",
    "no effect": "warning",
    "damaged": "bad",
}


def matching_runs(runs: Sequence[RunSummary], pattern: re.Pattern[str] | None) -> tuple[RunSummary, ...]:
    """The runs whose name the pattern finds; all without one."""
    return tuple(run for run in runs if pattern is None or pattern.search(run.name))


def runs_lines(runs: Sequence[RunSummary], marked: Sequence[str], chosen: str, width: int) -> tuple[Line, ...]:
    """A heading and a line a run, in the order given.

    Args:
        marked: paths of the marked runs, in the order of marking.
        chosen: path of the run under the cursor.
    """
    best = max((run.best_mrr for run in runs if run.best_mrr is not None), default=None)
    heading = tuple(line(Span(words, "dim")) for words in _HEADINGS)
    rows = _in_columns([heading, *(_cells(run, marked, best, width) for run in runs)], width)
    shown = [
        row.fitted(width).toned("plain").chosen() if run.path == chosen else row.fitted(width)
        for run, row in zip(runs, rows[1:], strict=True)
    ]
    return (rows[0].fitted(width), *shown)


def _cells(run: RunSummary, marked: Sequence[str], best: float | None, width: int) -> tuple[Line, ...]:
    return (
        _mark(run, marked),
        line(Span(foreign(run.name, max(width - 50, 16)), is_bold=run.state == "running")),
        line(*(Span(span.text, STATE_TONES[run.state]) for span in state_line(run.state).spans)),
        line(_epochs(run)),
        line("" if run.best_mrr is None else Span(f"{run.best_mrr:.3f}", is_bold=run.best_mrr == best)),
        line("" if run.null_mrr is None else Span(f"{run.null_mrr:.3f}", "dim")),
        line(Span(null_title(run.null), "dim")),
        line(
            Span(run.outcome, _OUTCOME_TONES.get(run.outcome, "plain")),
            Span(f" against {foreign(run.baseline, 30)}" if run.baseline else "", "dim"),
        ),
    )


def _mark(run: RunSummary, marked: Sequence[str]) -> Line:
    if run.path not in marked:
        return line("  ")
    return line(Span("━━", CURVE_TONES[marked.index(run.path) % len(CURVE_TONES)], is_bold=True))


def _epochs(run: RunSummary) -> str:
    if run.epoch is None:
        return ""
    return figure_text(run.epoch) + (f"/{figure_text(run.total_epochs)}" if run.total_epochs else "")


def runs_head(folder: str, runs: Collection[RunSummary], num_shown: int, width: int) -> Line:
    """The first line: which folder, how many runs, how many of them are at it."""
    running = sum(run.state == "running" for run in runs)
    count = f"   {len(runs)} {'run' if len(runs) == 1 else 'runs'}"
    parts = [Span(f" {foreign(folder, 60)}", is_bold=True), Span(count)]
    if running:
        parts.append(Span(f"   ● {running} running", "good"))
    if num_shown != len(runs):
        parts.append(Span(f"   {num_shown} shown", "accent"))
    return line(*parts).fitted(width)


def _in_columns(rows: Sequence[Sequence[Line]], width: int) -> list[Line]:
    """Without the columns that matter least, where not all fit."""
    widths = [max(cell.width for cell in column) for column in zip(*rows, strict=True)]
    gap = 3 if width >= _WIDE else 2
    shown = next((kept for kept in _KEPT if _needed(widths, kept, gap) <= width), _KEPT[-1])
    return [line(*(_cell(row[index], index, widths[index], gap) for index in shown)) for row in rows]


def _needed(widths: Sequence[int], kept: Sequence[int], gap: int) -> int:
    readable = [min(widths[index], _READABLE_VERDICT) if index == _VERDICT else widths[index] for index in kept]
    return sum(readable) + gap * (len(kept) - 1)


def _cell(cell: Line, index: int, width: int, gap: int) -> Line:
    padded = line(" " * (width - cell.width), cell) if index in _RIGHT else cell.fitted(width)
    return line(padded, " " * gap)
