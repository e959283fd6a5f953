"""From grids as JSON gives them to the tensors of `Sequences`, without Python code per cell.

Knows what a grid is (a rectangle of colours 0–9), not where it came from: callers say which file and line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import attrs
import numpy as np
import orjson
import torch
from torch import Tensor

from jepa_plugins.grids.colours import OUTSIDE

_COLOURS = bytes.maketrans(b"0123456789", bytes(range(OUTSIDE)))
"""Of digits."""


@attrs.frozen
class Grid:
    """A checked grid."""

    height: int
    width: int
    cells: bytes
    """Colours 0–9, row by row."""

    @property
    def side(self) -> int:
        """The longer of height and width."""
        return max(self.height, self.width)


def read_grid(value: object) -> Grid:
    """A grid from a list of rows of whole numbers 0–9. Raises ValueError saying what else it is."""
    if not isinstance(value, list) or set(map(type, value)) != {list} or not all(value):
        raise ValueError("is not a non-empty list of non-empty rows")
    widths = set(map(len, value))
    if len(widths) > 1:
        raise ValueError(f"has rows of {min(widths)} to {max(widths)} cells, all must be equally long")
    height, width = len(value), widths.pop()
    digits = _digits(value, height)
    if len(digits) != height * width or not digits.isdigit():
        raise ValueError(f"has a cell {_first_bad_cell(value)!r}, colours are whole numbers 0 to 9")
    return Grid(height, width, digits.translate(_COLOURS))


def _digits(rows: list[Any], height: int) -> bytes:
    """Cells as JSON writes them, which is faster than to look at each: a digit of each if all are colours."""
    try:
        written = orjson.dumps(rows)
    except TypeError:
        return b""
    # A cell that is a list would hide: [1, 2] beside [] has two digits, too.
    return written.translate(None, b"[],") if written.count(b"[") == height + 1 else b""


def _first_bad_cell(rows: Iterable[Iterable[object]]) -> object:
    return next(cell for cell in chain.from_iterable(rows) if type(cell) is not int or not 0 <= cell < OUTSIDE)


def pack_grids(grids: Sequence[Grid], side: int) -> tuple[Tensor, Tensor]:
    """K grids to (K, side, side) uint8, content in the top left corner, and their sizes (K, 2) int64."""
    sizes = np.array([(grid.height, grid.width) for grid in grids], dtype=np.int64).reshape(-1, 2)
    packed = np.full((len(grids), side, side), OUTSIDE, dtype=np.uint8)
    shapes, shape_of_grid = np.unique(sizes, axis=0, return_inverse=True)
    for shape, (height, width) in enumerate(shapes):
        members = np.flatnonzero(shape_of_grid.ravel() == shape).tolist()
        cells = np.frombuffer(b"".join([grids[member].cells for member in members]), dtype=np.uint8)
        packed[members, :height, :width] = cells.reshape(-1, height, width)
    return torch.from_numpy(packed), torch.from_numpy(sizes)
