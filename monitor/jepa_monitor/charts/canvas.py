"""A grid of characters with a tone each, composed in layers and turned into strips once.

Knows nothing of charts. Tones are indices into `look.TONES`.
"""

from __future__ import annotations

from itertools import pairwise

import attrs
import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, get_character_cell_size, set_cell_size
from rich.segment import Segment
from textual.strip import Strip

from jepa_monitor.charts.braille import BLANK
from jepa_monitor.charts.look import TONES, Look
from jepa_monitor.charts.scale import Scale
from jepa_monitor.charts.spec import Tone

_SECOND_HALF = 0
"""Stands in the cell after a wide character; never printed."""


@attrs.frozen(kw_only=True)
class XArea:
    """The columns of an image that stand for x."""

    left: int
    num_columns: int
    axis: Scale

    def x_at(self, column: int) -> float | None:
        """x at the middle of a column of the image; None beside the area."""
        if not self.left <= column < self.left + self.num_columns:
            return None
        return self.axis.value_at((column - self.left + 0.5) / self.num_columns)


@attrs.frozen(kw_only=True, eq=False)
class ChartImage:
    """A drawn chart: `width` cells in each of its `height` lines."""

    width: int
    height: int
    lines: tuple[Strip, ...]
    text: str
    """The same without style, lines separated by newlines."""
    x_area: XArea | None = None
    """Where x runs in it; None for what has no x axis."""


class Canvas:
    """`height` × `width` cells, blank at first. Everything put outside of it is cut off."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.codes: NDArray[np.uint32] = np.full((height, width), BLANK, dtype=np.uint32)
        self.tones: NDArray[np.uint8] = np.zeros((height, width), dtype=np.uint8)

    def put(self, row: int, column: int, text: str, tone: Tone) -> None:
        """Write `text`, which must be fit to be shown, over what is there."""
        if not 0 <= row < self.height:
            return
        codes = [code for character in text for code in _cells(character)][max(0, -column) :]
        codes = codes[: max(0, self.width - max(column, 0))]
        if not codes:
            return
        start, stop = max(column, 0), max(column, 0) + len(codes)
        self.codes[row, start:stop] = codes
        self.tones[row, start:stop] = TONES.index(tone)
        self._mend_halves(row, start)
        self._mend_halves(row, stop)

    def _mend_halves(self, row: int, column: int) -> None:
        """Blank what is left of a wide character when the boundary before `column` cuts it."""
        line = self.codes[row]
        if column > 0 and get_character_cell_size(chr(line[column - 1])) > 1:
            if column == self.width or line[column] != _SECOND_HALF:
                line[column - 1] = BLANK
        elif column < self.width and line[column] == _SECOND_HALF:
            line[column] = BLANK

    def fill_blanks(self, rows: slice, columns: slice, pattern: str, tone: Tone) -> None:
        """Repeat `pattern`, of narrow characters, from the canvas's left edge on, in cells where nothing is yet."""
        area = self.codes[rows, columns]
        start = columns.indices(self.width)[0]
        repeated = [ord(pattern[(start + index) % len(pattern)]) for index in range(area.shape[1])]
        blank = area == BLANK
        area[:] = np.where(blank, np.array(repeated, dtype=np.uint32), area)
        self.tones[rows, columns][blank] = TONES.index(tone)

    def tint(self, rows: slice, columns: slice, tone: Tone) -> None:
        self.tones[rows, columns] = TONES.index(tone)

    def overlay(self, row: int, column: int, codes: NDArray[np.uint32], tone: Tone) -> None:
        """Lay a block of characters over what is there; its blanks are transparent."""
        where = codes != BLANK
        block = (slice(row, row + codes.shape[0]), slice(column, column + codes.shape[1]))
        self.codes[block][where] = codes[where]
        self.tones[block][where] = TONES.index(tone)

    def image(self, look: Look, x_area: XArea | None = None) -> ChartImage:
        tones = self._tones_in_runs()
        text = self.codes.astype("<u4").tobytes().decode("utf-32-le")
        ends = np.flatnonzero(np.diff(tones.ravel())) + 1
        rows = np.arange(0, self.width * self.height + 1, max(self.width, 1))
        bounds = np.union1d(ends, rows).tolist() if self.width and self.height else []
        styles = [look.styles[tone] for tone in tones.ravel()[bounds[:-1]].tolist()]
        lines: list[list[Segment]] = [[] for _ in range(self.height)]
        for (start, end), style in zip(pairwise(bounds), styles, strict=True):
            lines[start // self.width].append(Segment(text[start:end].replace("\0", ""), style))
        return ChartImage(
            width=self.width,
            height=self.height,
            lines=tuple(Strip(segments, self.width) for segments in lines),
            text="\n".join("".join(segment.text for segment in segments) for segments in lines),
            x_area=x_area,
        )

    def _tones_in_runs(self) -> NDArray[np.uint8]:
        """Blanks take the tone of what stands before them in the row: fewer runs are fewer bytes to the terminal."""
        if not self.width:
            return self.tones
        marked = np.where(self.codes != BLANK, np.arange(self.width), 0)
        return np.take_along_axis(self.tones, np.maximum.accumulate(marked, axis=1), axis=1)


def fitted(text: str, width: int, look: Look) -> str:
    """`text`, cut with an ellipsis where it is wider than `width` cells."""
    if cell_len(text) <= width:
        return text
    ellipsis = "~" if look.ascii else "…"
    return set_cell_size(text, width - 1).rstrip() + ellipsis if width > 0 else ""


def _cells(character: str) -> tuple[int, ...]:
    size = get_character_cell_size(character)
    return (ord(character), _SECOND_HALF) if size > 1 else (ord(character),) if size else ()
