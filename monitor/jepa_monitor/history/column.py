"""Numbers that are only ever appended, with prefixes given out that stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST_CAPACITY = 64
_GROWTH = 4
"""Room that is not written to yet costs address space, not memory."""


class Column:
    """A growing array of one dtype."""

    def __init__(self, dtype: type[np.generic] = np.float64, capacity: int = 0) -> None:
        self._buffer: NDArray[Any] = np.empty(max(capacity, _FIRST_CAPACITY), dtype)
        self._length = 0

    @classmethod
    def of(cls, array: NDArray[Any]) -> Column:
        """A column that begins with a copy of `array`."""
        column = cls(array.dtype.type)
        column.extend(array)
        return column

    def __len__(self) -> int:
        return self._length

    def extend(self, values: Sequence[float] | NDArray[Any]) -> None:
        """Append `values`."""
        self.room_for(len(values))[:] = values

    def room_for(self, num_values: int) -> NDArray[Any]:
        """Append `num_values` values that the caller writes into the array returned."""
        end = self._length + num_values
        if end > len(self._buffer):
            self._grow(end)
        room = self._buffer[self._length : end]
        self._length = end
        return room

    def prefix(self) -> NDArray[Any]:
        """All values so far, read-only. Later values go behind it or into another buffer, never into it."""
        values = self._buffer[: self._length]
        values.flags.writeable = False
        return values

    def _grow(self, at_least: int) -> None:
        capacity = len(self._buffer)
        while capacity < at_least:
            capacity *= _GROWTH
        larger = np.empty(capacity, self._buffer.dtype)
        larger[: self._length] = self._buffer[: self._length]
        self._buffer = larger
