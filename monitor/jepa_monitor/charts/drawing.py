"""Draws a chart: from its specification, a size and a look to an image. Pure: nothing is kept from one to the next."""

from __future__ import annotations

import attrs
import numpy as np
from rich.cells import cell_len

from jepa_monitor.charts.canvas import Canvas, ChartImage, fitted
from jepa_monitor.charts.columns import Columns, summarise
from jepa_monitor.charts.curves import dot_cells, draw_curves
from jepa_monitor.charts.frame import draw_frame, draw_x_ticks, draw_y_labels
from jepa_monitor.charts.header import (
    Header,
    draw_header,
    legend_rows,
    plan_header,
    put_pieces,
    readings_at,
    right_pieces,
    width_of,
)
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.marks import draw_crosshair, draw_mark_signs, draw_marks
from jepa_monitor.charts.plot import Layout, Plot, plan_layout
from jepa_monitor.charts.scale import Scale, near_ones, x_scale, y_scale
from jepa_monitor.charts.spec import ChartSpec, Curve
from jepa_monitor.charts.thresholds import draw_thresholds

_NOTHING = "no value yet"
_NOTHING_FINITE = "nothing finite here"
_LOG_COLUMN = 1
"""Of the word in the lower edge, below the labels of y."""
_LEGEND_SHARE = 3
"""One row in so many may hold what of the legend found no room beside the title."""


def draw_chart(spec: ChartSpec, width: int, height: int, look: Look) -> ChartImage:
    """The chart in exactly `width` × `height` cells, frame included, whatever the size and the values.

    From large to small it does without y labels, then without the frame; a single row is the header alone.
    """
    canvas = Canvas(max(width, 0), max(height, 0))
    if width < 1 or height < 1:
        return canvas.image(look)
    layout = plan_layout(width, height)
    x_axis = _x_axis(spec)
    num_dots = layout.num_columns * dot_cells(look).across
    curves = [(curve, summarise(curve, x_axis, num_dots, log=spec.log)) for curve in _bands_first(spec)]
    header = _plan_header(spec, curves, layout, look)
    below = legend_rows(header.below, layout.num_columns, layout.num_rows // _LEGEND_SHARE, look)
    layout = plan_layout(width, height, len(below))
    plot = Plot(canvas=canvas, layout=layout, look=look, x_axis=x_axis, y_axis=_y_axis(spec, curves))
    if layout.framed:
        draw_frame(canvas, look, spec.alert or "dim")
        _draw_bottom_line(plot, spec)
        if spec.log and layout.labelled and not header.says_log:
            canvas.put(layout.height - 1, _LOG_COLUMN, " log ", "dim")
    draw_header(canvas, header)
    for row, pieces in enumerate(below):
        put_pieces(canvas, row + 1, layout.left, pieces)
    if layout.num_rows:
        _draw_plot(plot, spec, curves)
    return canvas.image(look, plot.x_area)


def _draw_bottom_line(plot: Plot, spec: ChartSpec) -> None:
    """Marks that matter win over tick labels, and these over checkpoints."""
    draw_mark_signs(plot, spec.marks, checkpoints=False)
    if any(len(curve.xs) for curve in spec.curves):
        draw_x_ticks(plot, spec)
    draw_mark_signs(plot, spec.marks, checkpoints=True)


def _draw_plot(plot: Plot, spec: ChartSpec, curves: list[tuple[Curve, Columns]]) -> None:
    """What comes first is seen where several meet, but curves lie over one another in their order."""
    draw_curves(plot, curves)
    if not any(columns.drawn.any() for _, columns in curves):
        _draw_note(plot, spec, is_empty=not any(len(curve.xs) for curve, _ in curves))
    elif plot.layout.labelled:
        draw_y_labels(plot, spec)
    draw_crosshair(plot, spec.anchor, "dim")
    draw_crosshair(plot, spec.crosshair)
    draw_marks(plot, spec.marks)
    draw_thresholds(plot, spec.thresholds)


def _bands_first(spec: ChartSpec) -> list[Curve]:
    return sorted(spec.curves, key=lambda curve: not curve.is_band)


def _x_axis(spec: ChartSpec) -> Scale:
    if spec.x_range is not None:
        return x_scale(*spec.x_range)
    ends = [(float(curve.xs[0]), float(curve.xs[-1])) for curve in spec.curves if len(curve.xs)]
    if not ends:
        return x_scale(0.0, 1.0)
    return x_scale(min(start for start, _ in ends), max(end for _, end in ends))


def _y_axis(spec: ChartSpec, curves: list[tuple[Curve, Columns]]) -> Scale:
    if spec.y_range is not None:
        return x_scale(*spec.y_range)
    limits = [threshold.y for threshold in spec.thresholds]
    if not curves:
        return y_scale(np.empty(0), np.empty(0), limits, log=spec.log)
    if spec.is_overlay and not spec.log:
        curves = _without_outlying_run(curves)
    lows = np.concatenate([columns.low[columns.drawn] for _, columns in curves])
    highs = np.concatenate([columns.high[columns.drawn] for _, columns in curves])
    return y_scale(lows, highs, limits, log=spec.log, is_close=spec.is_zoomed)


def _without_outlying_run(curves: list[tuple[Curve, Columns]]) -> list[tuple[Curve, Columns]]:
    seen = [(curve, columns) for curve, columns in curves if columns.drawn.any()]
    spans = [(float(np.nanmin(columns.low)), float(np.nanmax(columns.high))) for _, columns in seen]
    return [each for each, is_near in zip(seen, near_ones(spans), strict=True) if is_near] or curves


def _plan_header(spec: ChartSpec, curves: list[tuple[Curve, Columns]], layout: Layout, look: Look) -> Header:
    readings = [] if spec.crosshair is None else readings_at(spec.crosshair, spec, look)
    num_left_out = sum(columns.num_left_out for curve, columns in curves if not curve.is_band)
    right = right_pieces(spec, readings, num_left_out, look)
    if spec.crosshair is not None and width_of(right) > layout.width // 2:
        values = readings_at(spec.crosshair, attrs.evolve(spec, anchor=None), look)
        right = right_pieces(spec, values, num_left_out, look)
    return plan_header(spec, right, layout.width, look, framed=layout.framed)


def _draw_note(plot: Plot, spec: ChartSpec, *, is_empty: bool) -> None:
    note = plot.look.text(spec.note or (_NOTHING if is_empty else _NOTHING_FINITE))
    shown = fitted(note, plot.layout.num_columns, plot.look)
    column = plot.layout.left + (plot.layout.num_columns - cell_len(shown)) // 2
    plot.canvas.put(plot.rows.start + (plot.layout.num_rows - 1) // 2, column, shown, "dim")
