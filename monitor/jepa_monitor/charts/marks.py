"""Draws what happened at one x: a sign on the bottom line, and for what matters a thin line through the plot."""

from __future__ import annotations

import numpy as np
from rich.cells import cell_len

from jepa_monitor.charts.braille import BLANK
from jepa_monitor.charts.plot import Plot
from jepa_monitor.charts.spec import Mark, MarkKind, Tone

_PRECEDENCE: tuple[MarkKind, ...] = ("checkpoint", "firing", "rollback", "non-finite")
"""Of marks in one column the last of these is shown."""


def draw_marks(plot: Plot, marks: tuple[Mark, ...]) -> None:
    """The thin lines; checkpoints have none."""
    for column, mark in sorted(_shown(plot, marks).items()):
        if mark.kind != "checkpoint":
            _draw_label(plot, column, mark)
            plot.canvas.fill_blanks(plot.rows, slice(column, column + 1), plot.look.glyphs.mark_line, mark.tone)


def draw_mark_signs(plot: Plot, marks: tuple[Mark, ...], *, checkpoints: bool) -> None:
    """The signs on the bottom line: of checkpoints where there is line yet, or of all others."""
    bottom, line = plot.layout.height - 1, ord(plot.look.glyphs.horizontal)
    for column, mark in _shown(plot, marks).items():
        is_checkpoint = mark.kind == "checkpoint"
        if is_checkpoint == checkpoints and (not is_checkpoint or plot.canvas.codes[bottom, column] == line):
            plot.canvas.put(bottom, column, plot.look.glyphs.marks[mark.kind], mark.tone)


def draw_crosshair(plot: Plot, x: float | None, tone: Tone = "plain") -> None:
    """A line through the plot, with what it meets in its tone, so that it is seen through dense curves too."""
    if x is not None and plot.x_axis.holds(x):
        column = plot.column_of(x)
        at_column = slice(column, column + 1)
        plot.canvas.fill_blanks(plot.rows, at_column, plot.look.glyphs.crosshair, tone)
        plot.canvas.tint(plot.rows, at_column, tone)


def _shown(plot: Plot, marks: tuple[Mark, ...]) -> dict[int, Mark]:
    """The mark of each canvas column that has one in view."""
    if not marks:
        return {}
    xs = np.array([mark.x for mark in marks], dtype=np.float64)
    in_view = np.flatnonzero((xs >= plot.x_axis.low) & (xs <= plot.x_axis.high))
    columns = plot.x_axis.dots(xs[in_view], plot.layout.num_columns) + plot.layout.left
    shown: dict[int, Mark] = {}
    for column, index in zip(columns.tolist(), in_view.tolist(), strict=True):
        mark = marks[index]
        if column not in shown or _PRECEDENCE.index(mark.kind) >= _PRECEDENCE.index(shown[column].kind):
            shown[column] = mark
    return shown


def _draw_label(plot: Plot, column: int, mark: Mark) -> None:
    """Beside the line in the top row, at its right or left, where that hides nothing."""
    label = plot.look.text(mark.label)
    size = cell_len(label)
    row = plot.rows.start
    for start in (column + 1, column - size):
        inside = plot.columns.start <= start and start + size <= plot.columns.stop
        if size and inside and bool(np.all(plot.canvas.codes[row, start : start + size] == BLANK)):
            plot.canvas.put(row, start, label, mark.tone)
            return
