"""Rows of cells in columns, some of which take what room is left. Knows nothing of what the cells say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeAlias

import attrs

from jepa_monitor.panels.line import NOTHING, Line, line

GAP = 2
"""Columns of the terminal between two columns of cells."""
LEAST_STRETCH, MOST_STRETCH = 5, 48
_LEAST_FIRST = 6


@attrs.frozen
class Stretch:
    """A cell as wide as there is room: a bar, say. Left out where there is hardly any."""

    draw: Callable[[int], Line]


Cell: TypeAlias = "Line | Stretch"


def columns(rows: Iterable[Sequence[Cell]], width: int, *, right: Collection[int] = ()) -> tuple[Line, ...]:
    """The rows, as lines of at most `width` where that can be: the first column gives way.

    Args:
        rows: cells; all rows have as many, or fewer at their end.
        width: of the terminal.
        right: indices of the columns that are flush right.
    """
    cells = [tuple(row) for row in rows]
    num_columns = max(map(len, cells), default=0)
    stretching = {index for row in cells for index, cell in enumerate(row) if isinstance(cell, Stretch)}
    widths = [max((_width(row, index) for row in cells), default=0) for index in range(num_columns)]
    if stretching:
        share = (width - sum(widths) - GAP * (num_columns - 1)) // len(stretching)
        widths = [min(share, MOST_STRETCH) if index in stretching else each for index, each in enumerate(widths)]
        if share < LEAST_STRETCH:
            cells = [tuple(cell for index, cell in enumerate(row) if index not in stretching) for row in cells]
            right = {index - sum(gone < index for gone in stretching) for index in right}
            widths = [each for index, each in enumerate(widths) if index not in stretching]
    if widths:
        widths[0] = min(widths[0], max(width - sum(widths[1:2]) - GAP, _LEAST_FIRST))
    return tuple(_row(row, widths, right) for row in cells)


def _width(row: Sequence[Cell], index: int) -> int:
    cell = row[index] if index < len(row) else NOTHING
    return cell.width if isinstance(cell, Line) else 0


def _row(row: Sequence[Cell], widths: Sequence[int], right: Collection[int]) -> Line:
    parts: list[Line] = []
    for index, cell in enumerate(row):
        room = widths[index]
        drawn = cell.draw(room) if isinstance(cell, Stretch) else cell
        blank = line(" " * (room - drawn.width))
        gap = " " * GAP if index else ""
        parts.append(line(gap, blank, drawn) if index in right else line(gap, drawn.fitted(room)))
    return line(*parts)
