"""Draws the limits of rules: dashed or solid, over the part of x where they hold, labelled where that hides nothing."""

from __future__ import annotations

import math

import numpy as np
from rich.cells import cell_len

from jepa_monitor.charts.braille import BLANK
from jepa_monitor.charts.canvas import fitted
from jepa_monitor.charts.plot import Plot
from jepa_monitor.charts.spec import Threshold, Tone

_FROM_THE_RIGHT = 2
_SHORTEST_ROOM = 9
"""A label that is cut shorter says nothing."""


def draw_thresholds(plot: Plot, thresholds: tuple[Threshold, ...]) -> None:
    """Where a curve runs, the curve is shown. A limit beyond the axis is a label with an arrow at that edge."""
    labels: list[tuple[int, int, str, Tone]] = []
    rows = {plot.row_of(each.y) for each in thresholds if math.isfinite(each.y) and plot.y_axis.holds(each.y)}
    for threshold in thresholds:
        span = _span(plot, threshold)
        if span is None or not math.isfinite(threshold.y):
            continue
        row = plot.row_of(threshold.y)
        label = _label(plot, threshold)
        room = _room(plot, span, label)
        spot = _free_spot(plot, row, room, label, rows - {row}) if label else None
        if plot.y_axis.holds(threshold.y):
            _draw_line(plot, threshold, row, span)
        if spot is not None:
            text = f" {fitted(label, room.stop - room.start - 2, plot.look)} "
            labels.append((*spot, text, threshold.tone))
            plot.canvas.put(*labels[-1])
    for each in labels:
        plot.canvas.put(*each)  # the line of a later limit in the same row has filled its blanks


def _label(plot: Plot, threshold: Threshold) -> str:
    label, glyphs = plot.look.text(threshold.label), plot.look.glyphs
    if plot.y_axis.holds(threshold.y):
        return label
    return f"{glyphs.above if threshold.y > plot.y_axis.high else glyphs.below} {label}"


def _span(plot: Plot, threshold: Threshold) -> slice | None:
    """Canvas columns where it holds; None where that is out of view."""
    start = plot.x_axis.low if threshold.start is None else threshold.start
    end = plot.x_axis.high if threshold.end is None else threshold.end
    if not start <= end or start > plot.x_axis.high or end < plot.x_axis.low:
        return None
    return slice(plot.column_of(start), plot.column_of(end) + 1)


def _room(plot: Plot, span: slice, label: str) -> slice:
    """Columns for the label: those of the line, and as many before it as a short one lacks."""
    needed = cell_len(label) + 2 + _FROM_THE_RIGHT
    return slice(max(min(span.start, span.stop - needed), plot.columns.start), span.stop)


def _draw_line(plot: Plot, threshold: Threshold, row: int, span: slice) -> None:
    glyphs, at_row = plot.look.glyphs, slice(row, row + 1)
    for x, sign, column in (
        (threshold.start, glyphs.window_start, span.start),
        (threshold.end, glyphs.window_end, span.stop - 1),
    ):
        if x is not None and plot.x_axis.low < x < plot.x_axis.high:
            plot.canvas.fill_blanks(at_row, slice(column, column + 1), sign, threshold.tone)
    plot.canvas.fill_blanks(at_row, span, glyphs.dashed if threshold.dashed else glyphs.solid, threshold.tone)


def _free_spot(plot: Plot, row: int, span: slice, label: str, others: set[int]) -> tuple[int, int] | None:
    """Row and column for the label with a blank at each end: rightmost in its row, else in one near.

    Never in one of the rows `others` of other limits: there it would name the wrong one.
    """
    needed = min(cell_len(label) + 2, span.stop - span.start)
    if needed < min(_SHORTEST_ROOM, cell_len(label) + 2):
        return None
    last = max(span.stop - needed - _FROM_THE_RIGHT, span.start)
    for at_row in (row, row - 1, row + 1, row - 2, row + 2):
        if plot.rows.start <= at_row < plot.rows.stop and at_row not in others:
            blank = plot.canvas.codes[at_row, span.start : last + needed] == BLANK
            sums = np.concatenate(([0], np.cumsum(blank)))
            spots = np.flatnonzero(sums[needed:] - sums[:-needed] == needed)
            if spots.size:
                return at_row, span.start + int(spots[-1])
    return None
