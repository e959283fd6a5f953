"""Bars side by side, such as a spectrum of eigenvalues, with a second set as marks over them on the same axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jepa_monitor.charts.braille import BLANK
from jepa_monitor.charts.canvas import Canvas, ChartImage
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import Floats

_DECADES = 6
"""What a logarithmic axis spans at most, below the greatest value."""
_SLACK = 1e-9
"""Of a level: a whole number of them is one whatever the rounding."""


def draw_bars(
    values: Floats | Sequence[float],
    width: int,
    height: int,
    look: Look,
    *,
    overlay: Floats | Sequence[float] | None = None,
    log: bool = False,
) -> ChartImage:
    """Bars from zero, the first at the left, the greatest of both sets full height.

    Where there are more values than cells, a bar stands for several neighbours and shows the greatest; where there are
    fewer, bars are as wide as fits. Negative and non-finite values have no bar.

    Args:
        values: heights of the bars.
        width: of the image, in cells.
        height: of the image, in cells.
        look: its characters and tones; bars are `accent`, the overlay `second`.
        overlay: heights of the marks, on the same axis; may have another length, its places are the same.
        log: whether the axis is logarithmic, over six decades at most.
    """
    canvas = Canvas(max(width, 0), max(height, 0))
    bars, marks = _heights(values), _heights(() if overlay is None else overlay)
    num_places = max(bars.size, marks.size)
    if not num_places or width < 1 or height < 1:
        return canvas.image(look)
    bars, marks = (_scaled(_spread(each, num_places, width), bars, marks, log=log) for each in (bars, marks))
    canvas.overlay(0, 0, _bar_cells(bars, height, look.glyphs.bar_levels), "accent")
    canvas.overlay(0, 0, _mark_cells(marks, height, look.glyphs.bar_marks), "second")
    return canvas.image(look)


def log_range(values: Floats | Sequence[float], overlay: Floats | Sequence[float] = ()) -> tuple[float, float] | None:
    """What the bottom and the top of bars on a logarithmic axis stand for; None where there is no bar."""
    both = np.concatenate([_heights(values), _heights(overlay)])
    if not both.any():
        return None
    greatest = float(both.max())
    return greatest / 10.0 ** _decades(both), greatest


def _decades(both: NDArray[np.float64]) -> float:
    """How many decades the axis spans."""
    return float(min(_DECADES, np.log10(both.max()) - np.log10(both[both > 0].min()) + 1))


def _heights(values: Floats | Sequence[float]) -> NDArray[np.float64]:
    given = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(given) & (given > 0), given, 0.0)


def _spread(heights: NDArray[np.float64], num_places: int, width: int) -> NDArray[np.float64]:
    """One height for each column, for heights that take the first of `num_places` places."""
    padded = np.zeros(num_places)
    padded[: heights.size] = heights
    if num_places > width:
        return np.maximum.reduceat(padded, np.arange(width) * num_places // width)
    columns = np.zeros(width)
    repeated = np.repeat(padded, width // num_places)
    columns[: repeated.size] = repeated
    return columns


def _scaled(
    columns: NDArray[np.float64], bars: NDArray[np.float64], marks: NDArray[np.float64], *, log: bool
) -> NDArray[np.float64]:
    """Shares of the full height."""
    both = np.concatenate([bars, marks])
    greatest = float(both.max())
    if greatest == 0:
        return columns
    shares = columns / greatest
    if not log:
        return shares
    decades = -np.log10(shares, out=np.full(shares.shape, -np.inf), where=shares > 0)
    scaled: NDArray[np.float64] = np.clip(1 - decades / _decades(both), 0.0, 1.0)
    return scaled


def _bar_cells(shares: NDArray[np.float64], height: int, levels: str) -> NDArray[np.uint32]:
    """(height, width) code points; anything above zero has at least the lowest level."""
    steps = np.maximum(np.ceil(shares * height * len(levels) - _SLACK), shares > 0).astype(np.intp)
    below = np.arange(height - 1, -1, -1)[:, np.newaxis] * len(levels)
    characters = np.array([BLANK, *map(ord, levels)], dtype=np.uint32)
    cells: NDArray[np.uint32] = characters[np.clip(steps - below, 0, len(levels))]
    return cells


def _mark_cells(shares: NDArray[np.float64], height: int, marks: str) -> NDArray[np.uint32]:
    """(height, width) code points; one mark in each column above zero."""
    cells = np.full((height, len(shares)), BLANK, dtype=np.uint32)
    columns = np.flatnonzero(shares > 0)
    steps = np.clip(
        np.ceil(shares[columns] * height * len(marks) - _SLACK).astype(np.intp) - 1, 0, height * len(marks) - 1
    )
    codes = np.array([ord(mark) for mark in marks], dtype=np.uint32)
    cells[height - 1 - steps // len(marks), columns] = codes[steps % len(marks)]
    return cells
