"""Rows as columns: eight bytes a figure, where a dictionary a row takes a hundred. A million rows are usual."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

Figures = NDArray[np.float64]


class Kind:
    """The rows that hold the same metrics in the same order."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.places = {name: place for place, name in enumerate(names)}
        """Of each metric among those of a row."""
        self._rows = array("i")
        self._figures = array("d")

    def append(self, number: int, row: Mapping[str, float]) -> None:
        """Take in the row of that number, which has just these names."""
        self._rows.append(number)
        self._figures.extend(row.values())

    @property
    def rows(self) -> NDArray[np.int32]:
        """Their numbers, (n,), rising."""
        return np.frombuffer(self._rows, np.int32)

    def column(self, name: str) -> Figures:
        """One metric of them, (n,): a view of what is held. Not a number everywhere where they do not hold it."""
        if name not in self.places:
            return np.full(len(self._rows), np.nan)
        return np.frombuffer(self._figures).reshape(-1, len(self.places))[:, self.places[name]]


@attrs.frozen(kw_only=True, eq=False)
class Columns:
    """All rows of a run."""

    num_rows: int
    kinds_of: Mapping[str, tuple[Kind, ...]]
    """Every metric, in the order in which they first appear, with the rows that hold it."""

    def dense(self, name: str) -> Figures:
        """One metric in every row, (num_rows,): not a number where a row does not hold it."""
        figures = np.full(self.num_rows, np.nan)
        for kind in self.kinds_of[name]:
            figures[kind.rows] = kind.column(name)
        return figures


def columns_of(rows: Iterable[Mapping[str, float]]) -> Columns:
    """Go through `rows` once."""
    kinds: dict[tuple[str, ...], Kind] = {}
    number = -1
    for number, row in enumerate(rows):
        names = tuple(row)
        kind = kinds.get(names)
        if kind is None:
            kind = kinds[names] = Kind(names)
        kind.append(number, row)
    kinds_of: dict[str, list[Kind]] = {}
    for kind in kinds.values():
        for name in kind.places:
            kinds_of.setdefault(name, []).append(kind)
    return Columns(num_rows=number + 1, kinds_of={name: tuple(found) for name, found in kinds_of.items()})
