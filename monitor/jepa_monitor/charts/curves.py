"""Draws curves into a plot: dots joined to lines, signs for what lies beyond the axis, letters instead of colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jepa_monitor.charts.braille import ASCII_CELLS, BLANK, BRAILLE_CELLS, DotCells
from jepa_monitor.charts.columns import Columns
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.plot import Plot
from jepa_monitor.charts.scale import Scale
from jepa_monitor.charts.spec import Curve, Tone

_LETTER_EVERY = 16
_LETTER_STAGGER = 5


def dot_cells(look: Look) -> DotCells:
    """The characters that curves are made of."""
    return ASCII_CELLS if look.ascii else BRAILLE_CELLS


def draw_curves(plot: Plot, curves: list[tuple[Curve, Columns]]) -> None:
    """Later curves on top, with the dots of the lines below kept; letters last, so that no line hides them."""
    num_rows, num_columns = plot.layout.num_rows, plot.layout.num_columns
    below = np.zeros((num_rows, num_columns), dtype=np.uint8)
    cells = dot_cells(plot.look)
    for curve, columns in curves:
        bits = _line_bits(plot, curve, columns)
        if not curve.is_band and cells.adds_up:
            below |= bits
        shown = np.where(bits, below if below.any() else bits, 0)
        plot.canvas.overlay(plot.layout.top, plot.layout.left, cells.characters[shown], curve.tone)
    for curve, columns in curves:
        _draw_ends(plot, curve.tone, columns)
    lines = [(curve, columns) for curve, columns in curves if not curve.is_band]
    if plot.look.no_colour and len(lines) > 1:
        for index, (curve, columns) in enumerate(lines):
            _draw_letters(plot, index, curve.tone, columns)


def letter(index: int) -> str:
    """The sign of a curve where curves have no colour."""
    return chr(ord("A") + index % 26)


def _line_bits(plot: Plot, curve: Curve, columns: Columns) -> NDArray[np.uint8]:
    cells = dot_cells(plot.look)
    top, bottom = _runs(columns, plot.y_axis, plot.layout.num_rows * cells.down)
    if cells.across > 1:
        _enlarge_lone_points(columns, top, bottom)
    if curve.is_band and plot.look.no_colour:
        top[1::2], bottom[1::2] = 1, 0  # every other dot column: a thinner shade than the line over it
    return cells.bits_of(top, bottom, plot.layout.num_rows)


def _runs(columns: Columns, y_axis: Scale, num_dots: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Top and bottom dot of each column, from the top; the bottom above the top where there is nothing."""
    drawn = columns.drawn
    top = num_dots - 1 - y_axis.dots(np.where(drawn, columns.high, y_axis.low), num_dots)
    bottom = num_dots - 1 - y_axis.dots(np.where(drawn, columns.low, y_axis.low), num_dots)
    joined_top, joined_bottom = _joined(columns, top, bottom)
    joined_bottom[~drawn] = -1
    return joined_top, joined_bottom


def _joined(
    columns: Columns, top: NDArray[np.intp], bottom: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Runs lengthened to where they touch the next column's, half of the way each."""
    joined = columns.joined & columns.drawn[:-1] & columns.drawn[1:]
    falls = joined & (top[1:] > bottom[:-1] + 1)
    rises = joined & (bottom[1:] < top[:-1] - 1)
    fall_middle = (bottom[:-1] + top[1:]) // 2
    rise_middle = (bottom[1:] + top[:-1]) // 2
    longer_top, longer_bottom = top.copy(), bottom.copy()
    longer_bottom[:-1] = np.where(falls, fall_middle, longer_bottom[:-1])
    longer_top[1:] = np.where(falls, fall_middle + 1, longer_top[1:])
    longer_top[:-1] = np.where(rises, np.minimum(rise_middle + 1, longer_top[:-1]), longer_top[:-1])
    longer_bottom[1:] = np.where(rises, np.maximum(rise_middle, longer_bottom[1:]), longer_bottom[1:])
    return longer_top, longer_bottom


def _enlarge_lone_points(columns: Columns, top: NDArray[np.intp], bottom: NDArray[np.intp]) -> None:
    """A point joined to nothing gets four dots: one is easily overlooked."""
    lone = columns.drawn
    lone[1:] &= ~columns.joined
    lone[:-1] &= ~columns.joined
    indices = np.flatnonzero(lone & (top == bottom))
    top[indices] = np.maximum(top[indices] - 1, 0)
    beside = indices ^ 1
    free = beside[np.isnan(columns.low[beside])]
    top[free], bottom[free] = top[free ^ 1], bottom[free ^ 1]


def _draw_ends(plot: Plot, tone: Tone, columns: Columns) -> None:
    """Signs at the top and the bottom edge for what lies beyond the axis."""
    glyphs, layout = plot.look.glyphs, plot.layout
    per_cell = dot_cells(plot.look).across
    top_row, bottom_row = layout.top, layout.top + layout.num_rows - 1
    drawn = columns.drawn
    higher = drawn & (np.where(drawn, columns.high, plot.y_axis.low) > plot.y_axis.high)
    lower = drawn & (np.where(drawn, columns.low, plot.y_axis.high) < plot.y_axis.low)
    ends: tuple[tuple[int, NDArray[np.bool_], str, Tone], ...] = (
        (top_row, higher, glyphs.above, tone),
        (bottom_row, lower, glyphs.below, tone),
        (top_row, columns.above, glyphs.infinite, "bad"),
        (bottom_row, columns.below, glyphs.infinite, "bad"),
    )
    for row, where, sign, sign_tone in ends:
        if where.any():
            cells = np.where(where.reshape(-1, per_cell).any(axis=1), ord(sign), BLANK).astype(np.uint32)
            plot.canvas.overlay(row, layout.left, cells[np.newaxis], sign_tone)


def _draw_letters(plot: Plot, index: int, tone: Tone, columns: Columns) -> None:
    per_cell = dot_cells(plot.look).across
    for cell in range(_LETTER_STAGGER * index % _LETTER_EVERY, plot.layout.num_columns, _LETTER_EVERY):
        heights = columns.high[cell * per_cell : (cell + 1) * per_cell]
        if not np.isnan(heights).any():
            plot.canvas.put(plot.row_of(float(heights.max())), plot.layout.left + cell, letter(index), tone)
