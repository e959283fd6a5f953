"""The chart on the screen: drawn anew when its specification, size or look changes; knows which x is where.

Keeps the drawn image; scrolling, focus and neighbours' redraws cost nothing.
"""

from __future__ import annotations

from textual.events import Leave, MouseMove
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from jepa_monitor.charts.canvas import ChartImage
from jepa_monitor.charts.drawing import draw_chart
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import ChartSpec

_EMPTY = ChartSpec(title="")


class Chart(Widget):
    """Shows `spec`, frame included, over the whole of its content area."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Chart { width: 1fr; height: 1fr; }"

    class Pointed(Message):
        """The pointer is over another column of the plot, or has left it."""

        def __init__(self, chart: Chart, x: float | None) -> None:
            super().__init__()
            self.chart = chart
            self.x = x

        @property
        def control(self) -> Chart:
            return self.chart

    spec: reactive[ChartSpec | None] = reactive(None)
    look: reactive[Look] = reactive(Look)

    def __init__(self, spec: ChartSpec | None = None, look: Look | None = None, *, id: str | None = None) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self._image: ChartImage | None = None
        self._drawn: tuple[ChartSpec, Look] | None = None
        self._pointed: float | None = None
        self.set_reactive(Chart.spec, spec)
        self.set_reactive(Chart.look, Look() if look is None else look)

    def image(self) -> ChartImage:
        """The chart as drawn for the present size."""
        spec = self.spec or _EMPTY
        width, height = self.content_size
        image = self._image
        is_fresh = self._drawn is not None and self._drawn[0] is spec and self._drawn[1] is self.look
        if image is None or not is_fresh or (image.width, image.height) != (width, height):
            image = self._image = draw_chart(spec, width, height, self.look)
            self._drawn = (spec, self.look)
        return image

    @property
    def plotted_range(self) -> tuple[float, float] | None:
        """The first and the last x of the plot; None while the widget has no size."""
        area = self.image().x_area
        return None if area is None else (area.axis.low, area.axis.high)

    def x_at(self, column: int) -> float | None:
        """x under a column of the content area; None beside the plot."""
        area = self.image().x_area
        return None if area is None else area.x_at(column)

    def render_line(self, y: int) -> Strip:
        lines = self.image().lines
        return lines[y] if y < len(lines) else Strip.blank(self.content_size.width)

    def on_mouse_move(self, event: MouseMove) -> None:
        offset = event.get_content_offset(self)
        self._point(None if offset is None else self.x_at(offset.x))

    def on_leave(self, event: Leave) -> None:
        if event.node is self:
            self._point(None)

    def _point(self, x: float | None) -> None:
        if x != self._pointed:
            self._pointed = x
            self.post_message(self.Pointed(self, x))
