"""The frame around a chart and its axes: corners, x ticks within the bottom line, y labels at the left."""

from __future__ import annotations

import re
from itertools import pairwise

from rich.cells import cell_len

from jepa_monitor.charts.canvas import Canvas
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.plot import LABEL_WIDTH, Plot
from jepa_monitor.charts.spec import ChartSpec, Tone
from jepa_monitor.charts.ticks import linear_ticks, log_ticks, tick_labels

_COLUMNS_A_TICK = 8
_ROWS_A_TICK = 3
_FEWEST_ROWS_TO_CHOOSE = 6


def draw_frame(canvas: Canvas, look: Look, tone: Tone) -> None:
    """Corners and lines, where nothing stands yet."""
    glyphs = look.glyphs
    last_row, last_column = canvas.height - 1, canvas.width - 1
    for row, left, right in ((0, *glyphs.corners[:2]), (last_row, *glyphs.corners[2:])):
        canvas.put(row, 0, left + glyphs.horizontal * (canvas.width - 2) + right, tone)
    for column in (0, last_column):
        canvas.fill_blanks(slice(1, last_row), slice(column, column + 1), glyphs.vertical, tone)


def draw_x_ticks(plot: Plot, spec: ChartSpec) -> None:
    """Labels in the bottom line, each in the middle of its place, where that leaves some line and hides no mark."""
    layout = plot.layout
    most = max(layout.num_columns // _COLUMNS_A_TICK, 2)
    ticks = linear_ticks(plot.x_axis.low, plot.x_axis.high, most, whole=spec.integer_x)
    free_from = layout.left
    bottom, line = layout.height - 1, ord(plot.look.glyphs.horizontal)
    for tick, text in zip(ticks, tick_labels(ticks), strict=True):
        label = f" {plot.look.text(text)} "
        end = layout.left + layout.num_columns
        column = min(max(plot.column_of(tick) - len(label) // 2, layout.left), end - len(label))
        is_free = bool((plot.canvas.codes[bottom, column : column + len(label)] == line).all())
        if column >= free_from and is_free:
            plot.canvas.put(bottom, column, label, "dim")
            free_from = column + len(label) + 1


def draw_y_labels(plot: Plot, spec: ChartSpec) -> None:
    """At most one a row, the topmost of those that fall into it."""
    layout = plot.layout
    ticks = _y_ticks(plot, spec)
    for tick, label in zip(ticks, _y_labels(plot, spec, ticks), strict=True):
        if cell_len(label) < LABEL_WIDTH:
            blank_before = LABEL_WIDTH - 1 - cell_len(label)
            plot.canvas.put(plot.row_of(tick), layout.left - LABEL_WIDTH, " " * blank_before + label + " ", "dim")


def _y_labels(plot: Plot, spec: ChartSpec, ticks: list[float]) -> list[str]:
    """Without the 0 before the point where that makes room for all of them."""
    labels = [plot.look.text(text) for text in tick_labels(ticks, log=plot.y_axis.log, percent=spec.percent)]
    return labels if _fit(labels) else [re.sub(r"^(\D?)0\.", r"\1.", label) for label in labels]


def _y_ticks(plot: Plot, spec: ChartSpec) -> list[float]:
    """As many as there is room for; fewer where they would look uneven on a linear axis for being rounded to rows, and
    where their labels would be too wide to be shown."""
    axis, num_rows = plot.y_axis, plot.layout.num_rows
    most = num_rows // _ROWS_A_TICK + 2
    make = log_ticks if axis.log else linear_ticks
    candidates = [make(axis.low, axis.high, fewer) for fewer in range(most, 0, -1)]
    legible = [ticks for ticks in candidates if ticks and _fit(_y_labels(plot, spec, ticks))] or candidates
    if axis.log or num_rows < _FEWEST_ROWS_TO_CHOOSE:
        return legible[0]
    return next((ticks for ticks in legible if _look_even(plot, ticks)), legible[0])


def _fit(labels: list[str]) -> bool:
    return all(cell_len(label) < LABEL_WIDTH for label in labels)


def _look_even(plot: Plot, ticks: list[float]) -> bool:
    rows = [plot.row_of(tick) for tick in ticks]
    gaps = [abs(above - below) for below, above in pairwise(rows)]
    return bool(gaps) and (min(gaps) > 1 or min(gaps) == max(gaps))
