"""Lines of a table of text: counted, of bounded length, and those that are blank or rather names told from others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from jepa_core.errors import DataError

_LONGEST_LINE = 1 << 24
_MOST_BLANK_LINES = 1_000_000
"""In a row: a small packed file may have them without end."""

_LOOKED_AT = 1 << 14
"""Lines that the first one is compared with."""


class Lines:
    """Lines of a file; `number` is that of the newest."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path, self._file = path, file
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        while text := self._file.readline(_LONGEST_LINE + 1):
            self.number += 1
            if len(text) > _LONGEST_LINE:
                raise DataError(
                    f"{self._path}, line {self.number}: it has more than {_LONGEST_LINE:,} characters, as no table has."
                )
            yield text


class BlankLines:
    """Lines with nothing in them, as far as lines of values follow: what a table ends with says nothing."""

    def __init__(self, path: Path) -> None:
        self.first = self.num = 0
        self._path = path
        self._start = self._waiting = 0

    def add(self, line: int) -> None:
        """
        Raises:
            DataError: they do not end.
        """
        self._start = self._start or line
        self._waiting += 1
        if self._waiting > _MOST_BLANK_LINES:
            raise DataError(
                f"{self._path}, line {self._start}: more than {_MOST_BLANK_LINES:,} lines in a row have nothing in "
                "them, as no table has. Save it without them."
            )

    def values_follow(self) -> None:
        """A line that has something in it."""
        self.first = self.first or self._start
        self.num += self._waiting
        self._start = self._waiting = 0


def count_up(cells: Sequence[str]) -> bool:
    """Whether whole numbers go up by as much from each cell to the next, of two by one."""
    if len(cells) < 2 or not all(cell.isascii() and cell.isdigit() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    step = numbers[1] - numbers[0]
    goes_on = all(after - before == step for before, after in pairwise(numbers))
    return goes_on and (step > 0 if len(cells) > 2 else step == 1)


def count_alike(observed: np.ndarray[Any, Any]) -> bool:
    """Whether half of the lines below the first (rows, columns) go up from each value to the next as it does."""
    steps = np.diff(observed[:_LOOKED_AT], axis=1)
    return len(steps) < 2 or bool((steps[1:] == steps[0]).all(axis=1).mean() >= 0.5)
