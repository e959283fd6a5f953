"""A small file that is read again only when it was written or replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Content = TypeVar("Content")
Signature = tuple[int, int, int] | None


def signature(path: Path) -> Signature:
    """What tells one state of a file from another without reading it; None when there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class WatchedFile(Generic[Content]):
    """The content of one file, as `read` gives it."""

    def __init__(self, path: Path, read: Callable[[Path], Content]) -> None:
        """`read` has to cope with a file that is missing or damaged."""
        self._path = path
        self._read = read
        self._signature = signature(path)
        self.content: Content = read(path)

    def refresh(self) -> bool:
        """Read it again if it changed; whether it did."""
        now = signature(self._path)
        if now == self._signature:
            return False
        self._signature = now  # before reading: a change in between is seen next time
        self.content = self._read(self._path)
        return True
