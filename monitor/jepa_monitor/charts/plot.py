"""Where things stand in a chart: the parts of its area, and from values to cells. What is put there is others' work."""

from __future__ import annotations

import attrs

from jepa_monitor.charts.canvas import Canvas, XArea
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.scale import Scale

LABEL_WIDTH = 6
"""Cells of a y label; the same in every chart, so that charts one below the other share their columns."""
_FRAMED_FROM = (12, 4)
_LABELLED_FROM = (30, 5)


@attrs.frozen(kw_only=True)
class Layout:
    """The parts of `width` × `height` cells: a frame with the header in it, y labels, and the plot."""

    width: int
    height: int
    framed: bool
    left: int
    """First column of the plot."""
    top: int
    """First row of the plot; the header is in row 0."""
    num_columns: int
    num_rows: int

    @property
    def labelled(self) -> bool:
        return self.left > 1


def plan_layout(width: int, height: int, legend_rows: int = 0) -> Layout:
    """Small areas do without labels, then without a frame; one row is the header alone."""
    framed = width >= _FRAMED_FROM[0] and height >= _FRAMED_FROM[1]
    edge = int(framed)
    labelled = width >= _LABELLED_FROM[0] and height >= _LABELLED_FROM[1]
    left = edge + (LABEL_WIDTH if labelled else 0)
    top = 1 + legend_rows
    return Layout(
        width=width,
        height=height,
        framed=framed,
        left=left,
        top=top,
        num_columns=width - left - edge,
        num_rows=max(height - top - edge, 0),
    )


@attrs.frozen(kw_only=True, eq=False)
class Plot:
    """A canvas with its axes."""

    canvas: Canvas
    layout: Layout
    look: Look
    x_axis: Scale
    y_axis: Scale

    @property
    def rows(self) -> slice:
        return slice(self.layout.top, self.layout.top + self.layout.num_rows)

    @property
    def columns(self) -> slice:
        return slice(self.layout.left, self.layout.left + self.layout.num_columns)

    @property
    def x_area(self) -> XArea:
        return XArea(left=self.layout.left, num_columns=self.layout.num_columns, axis=self.x_axis)

    def column_of(self, x: float) -> int:
        """Canvas column; the first or the last one for what lies beyond."""
        return self.layout.left + int(self.x_axis.dots(x, self.layout.num_columns))

    def row_of(self, y: float) -> int:
        """Canvas row; the top or the bottom one for what lies beyond."""
        return self.layout.top + self.layout.num_rows - 1 - int(self.y_axis.dots(y, self.layout.num_rows))
