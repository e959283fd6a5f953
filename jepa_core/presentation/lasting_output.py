"""An output that ends no training: whatever becomes of a terminal, of a pipe's reader or of a full disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console


class LastingOutput:
    """A text file of which everything after the first failed write is left out."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.is_lost = False

    def write(self, text: str) -> int:
        try:
            return len(text) if self.is_lost else self._file.write(text)
        except OSError:
            self._lose()
            return len(text)

    def flush(self) -> None:
        try:
            if not self.is_lost:
                self._file.flush()
        except OSError:
            self._lose()

    def _lose(self) -> None:
        self.is_lost = True
        # What waits in its buffer would be tried again when the interpreter ends, which would make a failure of it.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._file.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def lasting(console: Console) -> Iterator[None]:
    """Within it the console's output ends nothing."""
    file = console.file
    console.file = cast("IO[str]", LastingOutput(file))
    try:
        yield
    finally:
        console.file = file
