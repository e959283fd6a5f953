"""Lines in a frame with a title, which scroll: what every panel and every screen is made of.

It draws its frame itself, so that the frame is ASCII where everything is, and looks like a chart's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from jepa_monitor.charts.glyphs import Glyphs
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import Tone
from jepa_monitor.panels.line import NOTHING, Line, Span, beside, line, plainer

_WHEEL_ROWS = 3


@attrs.frozen(kw_only=True)
class Content:
    """What stands in a frame."""

    lines: Sequence[Line] = ()
    heading: Line = NOTHING
    """Stays above the lines, however far they are scrolled."""
    title: Line = NOTHING
    """Behind the frame's own title."""
    figure: Line = NOTHING
    """At the right end of the title."""
    foot: Line = NOTHING
    """In the frame's lower edge: the keys that do something here."""
    alert: Tone | None = None
    """Colours the frame, where something is in trouble."""
    cursor: int | None = None
    """Index of the line that must stay in sight."""


class FramedLines(Widget, can_focus=True):
    """Shows what `draw` gives. Longer content scrolls; `FOLLOWS` keeps the newest line, at the bottom, in sight."""

    FOLLOWS: ClassVar[bool] = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_rows(-1)", "up", show=False),
        Binding("down,j", "scroll_rows(1)", "down", show=False),
        Binding("pageup", "scroll_pages(-1)", "page up", show=False),
        Binding("pagedown", "scroll_pages(1)", "page down", show=False),
        Binding("home", "scroll_to_end(False)", "first line", show=False),
        Binding("end", "scroll_to_end(True)", "last line", show=False),
    ]
    DEFAULT_CSS = """
    FramedLines { height: 1fr; width: 1fr; }
    """

    def __init__(self, title: str = "", *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._title = title
        self._look: Look | None = None
        self._content = Content()
        self._drawn_in = Size(0, 0)
        """The room that the content was made for."""
        self._top = 0
        self._is_following = self.FOLLOWS

    def draw(self, width: int, height: int, look: Look) -> Content:
        """What to show in `width` × `height` columns and rows within the frame."""
        raise NotImplementedError  # by each panel

    def redraw(self, look: Look | None = None) -> None:
        """Draw again, because what is shown has changed."""
        self._look = look or self._look
        room = self._room
        if self._look is None or room.width <= 0 or room.height <= 0:
            return
        self._content, self._drawn_in = self.draw(room.width, room.height, self._look), room
        cursor = self._content.cursor
        if cursor is not None:
            self._top = min(max(self._top, cursor - self._num_rows + 1), cursor)
        self._top = self._last_top if self._is_following else min(self._top, self._last_top)
        self.refresh()

    @property
    def _room(self) -> Size:
        return Size(max(self.size.width - 4, 0), max(self.size.height - 2, 0))

    @property
    def _num_headings(self) -> int:
        return int(bool(self._content.heading.width))

    @property
    def _num_rows(self) -> int:
        """Of lines in sight."""
        return max(self._room.height - self._num_headings, 0)

    @property
    def _last_top(self) -> int:
        return max(len(self._content.lines) - self._num_rows, 0)

    def on_resize(self, _event: Resize) -> None:
        self.redraw()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def action_scroll_rows(self, rows: int) -> None:
        self._scroll_to_row(self._top + rows)

    def action_scroll_pages(self, pages: int) -> None:
        self._scroll_to_row(self._top + pages * max(self._num_rows - 1, 1))

    def action_scroll_to_end(self, is_last: bool) -> None:
        self._scroll_to_row(self._last_top if is_last else 0)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self._scroll_to_row(self._top + _WHEEL_ROWS)
        event.stop()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self._scroll_to_row(self._top - _WHEEL_ROWS)
        event.stop()

    def _scroll_to_row(self, row: int) -> None:
        self._top = min(max(row, 0), self._last_top)
        self._is_following = self.FOLLOWS and self._top == self._last_top
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row of the widget."""
        if self._drawn_in != self._room and y == 0:
            # Textual does not tell every new widget its first size: where something asked for the layout meanwhile, the
            # size is no news any more. What would stay empty then is drawn when it is painted.
            self.call_later(self.redraw)
        width, height = self.size
        if self._look is None or width < 4 or height < 2:
            return Strip.blank(width)
        look = self._look
        if y == 0:
            return to_strip(self._top_edge(width, look.glyphs), look)
        if y >= height - 1:
            return to_strip(self._bottom_edge(width, look.glyphs), look)
        edge = Span(look.glyphs.vertical, self._edge_tone)
        return to_strip(line(edge, " ", self._line_at(y).fitted(width - 4), " ", edge), look)

    def _line_at(self, y: int) -> Line:
        """What stands in a row of the widget below its upper edge."""
        if y <= self._num_headings:
            return self._content.heading
        index = self.index_at(y)
        return self._content.lines[index] if index < len(self._content.lines) else NOTHING

    def index_at(self, y: int) -> int:
        """Of the line in a row of the widget; negative for a heading, and beyond the last one where there is none."""
        return self._top + y - 1 - self._num_headings if y > self._num_headings else -1

    @property
    def _edge_tone(self) -> Tone:
        return self._content.alert or ("accent" if self.has_focus else "dim")

    def _top_edge(self, width: int, glyphs: Glyphs) -> Line:
        tone, content, rule = self._edge_tone, self._content, glyphs.horizontal
        title = line(
            Span(f"{glyphs.corners[0]} ", tone), Span(self._title, is_bold=True, is_chosen=self.has_focus), " "
        )
        if content.title.width:
            title = line(title, Span(f"{rule} ", tone), content.title, " ")
        has_figure = 0 < content.figure.width < width - title.width - 3
        figure = line(" ", content.figure, " ") if has_figure else NOTHING
        left = line(title, Span(rule * max(width - title.width - figure.width - 1, 0), tone))
        return line(beside(left, figure, width - 1), Span(glyphs.corners[1], tone))

    def _bottom_edge(self, width: int, glyphs: Glyphs) -> Line:
        tone, num_lines, height = self._edge_tone, len(self._content.lines), self._num_rows
        position = f" {self._top + 1}–{self._top + height} of {num_lines} " if num_lines > height else ""
        foot = line(" ", self._content.foot, " ") if self._content.foot.width else NOTHING
        left = line(Span(glyphs.corners[2] + glyphs.horizontal, tone), foot)
        rule = glyphs.horizontal * max(width - left.width - len(position) - 2, 0)
        right = line(Span(position, "dim"), Span(glyphs.horizontal + glyphs.corners[3], tone))
        return beside(line(left, Span(rule, tone)), right, width)


def to_strip(row: Line, look: Look) -> Strip:
    """A row as Textual draws it."""
    return Strip(
        [Segment(plainer(span.text) if look.ascii else span.text, span_style(span, look)) for span in row.spans]
    )


def span_style(span: Span, look: Look) -> Style:
    """How a span looks."""
    style = look.style(span.tone) if span.style is None else span.style
    return style + Style(bold=span.is_bold or None, reverse=span.is_chosen or None)
