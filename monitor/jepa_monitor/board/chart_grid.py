"""The charts in columns and rows, a page at a time. Knows charts as data; which ones, and why, it is told."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.widget import Widget

from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import ChartSpec
from jepa_monitor.charts.widget import Chart

_COLUMNS_FROM = ((240, 5), (160, 4), (108, 3), (90, 2))
"""Width of the terminal from which on so many columns fit well; in narrower ones charts stand below each other."""
_GOOD_HEIGHT = 10
_MOST_ROWS_UNASKED = 4


@attrs.frozen
class GridShape:
    """So many columns and rows of charts."""

    columns: int
    rows: int

    @property
    def size(self) -> int:
        return self.columns * self.rows


def grid_shape(width: int, height: int, num_charts: int, *, columns: int = 0, rows: int = 0) -> GridShape:
    """The shape asked for, or where it is 0 the one that fits well; never more than there are charts."""
    wanted_columns = columns or next((count for least, count in _COLUMNS_FROM if width >= least), 1)
    wanted_rows = rows or min(max(height // _GOOD_HEIGHT, 1), _MOST_ROWS_UNASKED)
    shown_columns = max(min(wanted_columns, num_charts), 1)
    return GridShape(shown_columns, max(min(wanted_rows, -(-num_charts // shown_columns)), 1))


class ChartGrid(Widget):
    """A page of charts."""

    DEFAULT_CSS = """
    ChartGrid { layout: grid; height: 1fr; width: 1fr; grid-gutter: 0; }
    """

    class Chosen(Message):
        """A chart was clicked."""

        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position
            """On the page."""

    class Zoomed(Message):
        """The wheel was turned over the charts."""

        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

    def __init__(self, look: Look, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._look = look
        self.shape = GridShape(1, 1)
        self.charts: list[Chart] = []

    def show(self, specs: Sequence[ChartSpec], shape: GridShape, look: Look) -> None:
        """Show a page of at most `shape.size` charts."""
        self._look = look
        self._take_shape(shape)
        for position, chart in enumerate(self.charts):
            spec = specs[position] if position < len(specs) else None
            if chart.look is not look:
                chart.look = look
            if chart.spec is not spec:
                chart.spec = spec
            chart.visible = spec is not None

    def _take_shape(self, shape: GridShape) -> None:
        if shape != self.shape:
            self.shape = shape
            self.styles.grid_size_columns = shape.columns
            self.styles.grid_size_rows = shape.rows
        missing = shape.size - len(self.charts)
        if missing > 0:
            added = [Chart(look=self._look) for _ in range(missing)]
            self.charts += added
            self.mount(*added)
        for chart in self.charts[shape.size :]:
            chart.remove()
        del self.charts[shape.size :]

    def on_click(self, event: Click) -> None:
        if isinstance(event.widget, Chart) and event.widget in self.charts:
            self.post_message(self.Chosen(self.charts.index(event.widget)))

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.post_message(self.Zoomed(0.5))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.post_message(self.Zoomed(2.0))
