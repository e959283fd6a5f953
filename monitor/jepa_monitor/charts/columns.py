"""What a curve covers in each dot column: its least and its greatest value there, so that no spike is ever lost.

Knows nothing of the y axis beyond whether it is logarithmic, and nothing of characters.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from jepa_monitor.charts.scale import FARTHEST, NEAREST, Scale
from jepa_monitor.charts.spec import Curve


@attrs.frozen(kw_only=True, eq=False)
class Columns:
    """A curve in C dot columns. A column without a point of its own has the line's value at its centre."""

    low: NDArray[np.float64]
    """(C,) least finite value; not-a-number where the curve is not."""
    high: NDArray[np.float64]
    """(C,) greatest finite value."""
    joined: NDArray[np.bool_]
    """(C − 1,) whether the curve runs from a column into the next."""
    above: NDArray[np.bool_]
    """(C,) whether there is a +∞."""
    below: NDArray[np.bool_]
    """(C,) whether there is a −∞."""
    num_left_out: int
    """Finite values in view that a logarithmic axis cannot show."""

    @property
    def drawn(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.low)


def summarise(curve: Curve, x_axis: Scale, num_columns: int, *, log: bool) -> Columns:
    """The columns of `curve` on `x_axis`. Looks up the edges, then reads only the points in view, once."""
    xs, ys = curve.xs.astype(np.float64, copy=False), curve.ys.astype(np.float64, copy=False)
    edges = np.linspace(x_axis.low, x_axis.high, num_columns + 1)
    starts = np.searchsorted(xs, edges)
    starts[-1] = np.searchsorted(xs, edges[-1], side="right")
    reduced = _reduce(ys, starts, log=log)
    bridged = starts[1:] == starts[:-1]
    centres = (edges[:-1] + edges[1:]) / 2
    between = _between(xs, ys, starts[:-1][bridged], centres[bridged], log=log)
    reduced.low[bridged] = reduced.high[bridged] = between
    joins = starts[1:-1]
    joined = _usable_at(ys, joins - 1, log=log) & _usable_at(ys, joins, log=log)
    return attrs.evolve(reduced, joined=joined)


def _reduce(ys: NDArray[np.float64], starts: NDArray[np.intp], *, log: bool) -> Columns:
    """Least and greatest of the points of each column; `starts` (C + 1,) are indices into `ys`."""
    num_columns = len(starts) - 1
    low, high = np.full(num_columns, np.nan), np.full(num_columns, np.nan)
    above, below = np.zeros(num_columns, dtype=bool), np.zeros(num_columns, dtype=bool)
    filled = starts[1:] > starts[:-1]
    num_left_out = 0
    if filled.any():
        points = ys[starts[0] : starts[-1]]
        firsts = starts[:-1][filled] - starts[0]
        low[filled], high[filled] = np.minimum.reduceat(points, firsts), np.maximum.reduceat(points, firsts)
        if not _all_usable(low[filled], high[filled], log=log):
            above[filled] = np.logical_or.reduceat(points > FARTHEST, firsts)
            below[filled] = np.logical_or.reduceat(points < -FARTHEST, firsts)
            usable = _usable(points, log=log)
            num_left_out = int(np.count_nonzero((points < NEAREST) & (points >= -FARTHEST))) if log else 0
            low[filled] = np.minimum.reduceat(np.where(usable, points, np.inf), firsts)
            high[filled] = np.maximum.reduceat(np.where(usable, points, -np.inf), firsts)
            nothing = low > high
            low[nothing] = high[nothing] = np.nan
    no_joins = np.zeros(max(num_columns - 1, 0), dtype=bool)
    return Columns(low=low, high=high, joined=no_joins, above=above, below=below, num_left_out=num_left_out)


def _between(
    xs: NDArray[np.float64], ys: NDArray[np.float64], after: NDArray[np.intp], at: NDArray[np.float64], *, log: bool
) -> NDArray[np.float64]:
    """Heights at `at` of the line from the point before to the points `after`; not-a-number where one is missing."""
    heights = np.full(len(at), np.nan)
    there = _usable_at(ys, after - 1, log=log) & _usable_at(ys, after, log=log)
    left, right = after[there] - 1, after[there]
    start, end = np.clip(xs[left], -FARTHEST, FARTHEST), np.clip(xs[right], -FARTHEST, FARTHEST)
    share = np.clip((at[there] - start) / (end - start), 0.0, 1.0)
    if log:
        heights[there] = ys[left] ** (1 - share) * ys[right] ** share
    else:
        heights[there] = ys[left] * (1 - share) + ys[right] * share
    return heights


def _usable_at(ys: NDArray[np.float64], indices: NDArray[np.intp], *, log: bool) -> NDArray[np.bool_]:
    """Whether there is a value to draw at each index; there is none outside of the array."""
    if not len(ys):
        return np.zeros(len(indices), dtype=bool)
    inside = (indices >= 0) & (indices < len(ys))
    return inside & _usable(ys[np.clip(indices, 0, len(ys) - 1)], log=log)


def _usable(ys: NDArray[np.float64], *, log: bool) -> NDArray[np.bool_]:
    usable: NDArray[np.bool_] = (ys >= NEAREST) & (ys <= FARTHEST) if log else np.abs(ys) <= FARTHEST
    return usable


def _all_usable(low: NDArray[np.float64], high: NDArray[np.float64], *, log: bool) -> bool:
    return bool(np.all(_usable(low, log=log) & _usable(high, log=log)))
