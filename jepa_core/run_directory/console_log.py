"""console.log: what a run has shown. Nobody's training depends on it, so what the disk refuses is left out."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from jepa_core.disk_errors import remedy
from jepa_core.plain_files import let_go, opened_folder, own_descriptor
from jepa_core.run_directory.layout import CONSOLE
from jepa_core.run_directory.replacing import not_opened, put_aside


def open_console(run: Path, on_failure: Callable[[str, str], None] = lambda _message, _advice: None) -> TextIO:
    """The file of what was shown, to append to. Where the disk refuses a line it is left out, and `on_failure` is told
    the first time: nobody's training depends on it.

    Raises:
        RunDirectoryError: it cannot be opened.
    """
    return as_text(ConsoleLog(run, on_failure))


def as_text(log: ConsoleLog) -> TextIO:
    """To write lines to."""
    return io.TextIOWrapper(io.BufferedWriter(log), encoding="utf-8", errors="replace", line_buffering=True)


class ConsoleLog(io.RawIOBase):
    """The bytes of console.log: each write is there as a whole or not at all, and none raises."""

    def __init__(self, run: Path, on_failure: Callable[[str, str], None]) -> None:
        """
        Raises:
            RunDirectoryError: it cannot be opened.
        """
        self._path, self._on_failure = run / CONSOLE, on_failure
        self._fails = False
        self._folder = self._descriptor = -1
        try:
            with opened_folder(run) as folder:
                # Wherever the directory is moved it stays the folder of the file.
                self._folder = os.dup(folder)
            self._descriptor = self._opened()
        except OSError as error:
            self.close()
            raise not_opened(self._path, error) from error

    def _opened(self) -> int:
        return own_descriptor(Path(CONSOLE), os.O_WRONLY | os.O_APPEND | os.O_CREAT, folder=self._folder)

    def is_made_anew(self) -> bool:
        """Whether the file was deleted or replaced, and is gone on with in a new one."""
        with contextlib.suppress(OSError):  # the next look tries again
            try:
                found = os.stat(CONSOLE, dir_fd=self._folder, follow_symlinks=False)
                if os.path.samestat(found, os.fstat(self._descriptor)):
                    return False
            except FileNotFoundError:
                pass
            put_aside(self._folder, CONSOLE)
            anew = self._opened()
            let_go(self._descriptor)
            self._descriptor = anew
            return True
        return False

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        num_bytes, before = len(content), None
        try:
            before = os.fstat(self._descriptor).st_size
            if os.write(self._descriptor, content) < num_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._fails = False
        except OSError as error:
            with contextlib.suppress(OSError):
                if before is not None and os.fstat(self._descriptor).st_size > before:
                    os.ftruncate(self._descriptor, before)
            if not self._fails:
                self._fails = True
                self._on_failure(
                    f"{self._path} cannot be written: {error.strerror}. What is shown ({num_bytes} bytes) is left out "
                    "of it",
                    f"{remedy(error)}.",
                )
        return num_bytes

    def close(self) -> None:
        if not self.closed:
            super().close()
            for descriptor in (self._descriptor, self._folder):
                let_go(descriptor)
