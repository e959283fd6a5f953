"""Many lines of which few are seen: each is made when it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

from jepa_monitor.panels.line import Line

Item = TypeVar("Item")


class LazyLines(Sequence[Line], Generic[Item]):
    """One line an item."""

    def __init__(self, items: Sequence[Item], make: Callable[[Item], Line]) -> None:
        self._items = items
        self._make = make

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Line: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Line]: ...

    def __getitem__(self, index: int | slice) -> Line | Sequence[Line]:
        if isinstance(index, slice):
            return LazyLines(self._items[index], self._make)
        return self._make(self._items[index])
