"""Lines of a panel: pieces of text, each in a role of colour. Every foreign text becomes harmless here.

Knows nothing of widgets; how a role looks is the `Look`'s business.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from jepa_core.presentation.terminal import plain_text
from jepa_core.visible_text import clean
from jepa_monitor.charts.canvas import ChartImage
from jepa_monitor.charts.spec import Tone

FOREIGN_LIMIT = 500
"""Most characters of a foreign text that are looked at."""


def harmless(text: str) -> str:
    """`text` without anything that could steer the terminal, however long."""
    return text if text.isprintable() else foreign(text, len(text))


@attrs.frozen
class Span:
    """A piece of a line. Foreign text is made with `foreign`, which bounds it; none can do harm here in any case."""

    text: str = attrs.field(converter=harmless)
    tone: Tone = "plain"
    is_bold: bool = False
    is_chosen: bool = False
    """Whether it is under the cursor: drawn in reverse, so that it shows without colour."""
    style: Style | None = None
    """Of a piece of a drawing, in place of the tone's."""


@attrs.frozen
class Line:
    """One row of a panel."""

    spans: tuple[Span, ...] = ()

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)

    @property
    def width(self) -> int:
        """Columns of a terminal."""
        return cell_len(self.text)

    def __add__(self, other: Line) -> Line:
        return Line(self.spans + other.spans)

    def fitted(self, width: int) -> Line:
        """Exactly `width` columns: padded with blanks or cut, with "…" where something is missing."""
        missing = width - self.width
        if missing >= 0:
            return Line((*self.spans, Span(" " * missing))) if missing else self
        spans, room = [], max(width - 1, 0)
        for span in self.spans:
            spans.append(attrs.evolve(span, text=set_cell_size(span.text, min(cell_len(span.text), room))))
            room -= cell_len(spans[-1].text)
        return Line((*spans, Span("…"))) if width > 0 else Line()

    def chosen(self) -> Line:
        """The same, under the cursor."""
        return Line(tuple(attrs.evolve(span, is_chosen=True) for span in self.spans))

    def toned(self, tone: Tone) -> Line:
        """The same, all in one tone and weight."""
        return Line(tuple(Span(span.text, tone, is_chosen=span.is_chosen) for span in self.spans))


Part: TypeAlias = "str | Span | Line"


NOTHING = Line()


def line(*parts: Part) -> Line:
    """Pieces in a row; plain strings are our own words."""
    spans: list[Span] = []
    for part in parts:
        spans.extend(part.spans if isinstance(part, Line) else [Span(part) if isinstance(part, str) else part])
    return Line(tuple(span for span in spans if span.text))


def drawn(image: ChartImage) -> tuple[Line, ...]:
    """The rows of a drawing."""
    return tuple(Line(tuple(Span(text, style=style) for text, style, _ in strip)) for strip in image.lines)


def foreign(text: str, limit: int = FOREIGN_LIMIT) -> str:
    """Text of a run directory, on one line, without anything that could steer the terminal or has no width."""
    cut = text[: limit + 1]
    if len(cut) <= limit and cut.isascii() and cut.isprintable():
        return cut
    return "".join(character for character in clean(text, limit) if cell_len(character))


def beside(left: Line, right: Line, width: int) -> Line:
    """`left`, and `right` at the right edge; `left` is cut where both do not fit."""
    if right.width >= width:
        return right.fitted(width)
    return left.fitted(width - right.width) + right


def wrapped(text: str, width: int, *, tone: Tone = "plain", indent: str = "", most: int = 8) -> tuple[Line, ...]:
    """Foreign text over several rows of at most `width` columns, broken at blanks where it can be."""
    room = max(width - len(indent), 1)
    rows: list[str] = []
    row = ""
    for word in foreign(text, room * most).split(" "):
        row, full = _with_word(row, word, room)
        rows += full
    return tuple(line(indent, Span(row, tone)) for row in [*rows, row][:most])


def _with_word(row: str, word: str, room: int) -> tuple[str, list[str]]:
    """The row that is begun, and the rows that are full."""
    joined = f"{row} {word}" if row else word
    if cell_len(joined) <= room:
        return joined, []
    full = [row] if row else []
    while cell_len(word) > room:
        head = _head(word, room)
        full.append(head)
        word = word[len(head) :]
    return word, full


def _head(word: str, room: int) -> str:
    """As many characters as fit, at least one."""
    end = min(len(word), room)
    while end > 1 and cell_len(word[:end]) > room:
        end -= 1
    return word[:end]


def plainer(text: str) -> str:
    """`text` with no character beyond ASCII, and as many columns."""
    if text.isascii():
        return text
    return "".join(c if c.isascii() else plain_text(c) * cell_len(c) for c in text)


class AsciiFilter(LineFilter):
    """Leaves no character above 0x7E, whoever drew it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002  # Textual's contract
        """The same columns in ASCII."""
        return [Segment(plainer(text), style, control) for text, style, control in segments]
