"""Appending lines so that a reader, a crash and a full disk never meet half a line.

Each line is one write. A write that fails or falls short is undone, and its line waits in memory for the next one. A
file that somebody deletes or replaces meanwhile is made anew, or gone on with, and that is told.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from jepa_core.disk_errors import remedy
from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import let_go, open_plain, opened_folder, own_descriptor
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.replacing import not_opened, put_aside

FAILURES_IN_A_ROW = 5
LEAST_SECONDS = 60.0
"""A run is stopped, rather than left without a record, once so many writes in a row have failed and so long has passed
since the first of them: rows may be due many times a second, and a network disk is away for longer than that."""

DELETED = f"{remedy(FileNotFoundError(errno.ENOENT, ''))}."
"""What to do where somebody deletes files of a run."""

_BLOCK = 1 << 16


def lines_lost(path: Path) -> str:
    """What is said of a file of lines that somebody has deleted or replaced."""
    return (
        f"{path} was deleted or replaced while it was written: lines that were in it may be lost. Those from now on "
        "are in the file that is there now."
    )


class LineAppender:
    """One JSON Lines file, open for appending; this process is its only writer."""

    def __init__(
        self,
        path: Path,
        on_failure: Callable[[str, str], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        on_loss: Callable[[str, str], None] | None = None,
    ) -> None:
        """Open `path`, make it where it is missing, and drop a line that was cut off.

        Args:
            path: the file.
            on_failure: told once, with words for the user and with what to do, when writes begin to fail.
            clock: where durations come from.
            on_loss: told likewise, whenever the file is no longer the one that was written to.

        Raises:
            RunDirectoryError: the file cannot be opened.
        """
        self.path = path
        self._on_failure = on_failure
        self.on_loss = on_loss
        self._waiting: list[bytes] = []
        self._clock = clock
        self._failures = 0
        self._failing_since = 0.0
        self._stump_at: int | None = None
        self._is_replaced = False
        self._descriptor = -1
        self._held = contextlib.ExitStack()
        try:
            # It stays the file's wherever it is moved: nothing is made at its old path.
            self._folder = self._held.enter_context(opened_folder(path.parent))
            self._open()
        except OSError as error:
            self._close_all()
            raise not_opened(path, error) from error

    def append(self, record: dict[str, Any]) -> None:
        """Write one record as a line, after those that could not be written before.

        Raises:
            RunDirectoryError: five writes in a row have failed, and for a minute.
        """
        self._waiting.append(orjson.dumps(encode(record), option=orjson.OPT_APPEND_NEWLINE))
        try:
            self._write_waiting()
        except OSError as error:
            self._note_failure(error)
            return
        self._failures = 0
        self._tell_if_replaced()

    def look(self) -> None:
        """See between two lines, too, whether the file is still there; one that is not is made anew, and told of."""
        try:
            if not self._is_there():
                self._open()
                self._is_replaced = True
        except OSError:
            return  # the next line tells why
        self._tell_if_replaced()

    def _tell_if_replaced(self) -> None:
        if self._is_replaced:
            self._is_replaced = False
            if self.on_loss is not None:
                self.on_loss(lines_lost(self.path), DELETED)

    def flush(self) -> bool:
        """Try once more to write what waits; whether nothing waits now."""
        try:
            self._write_waiting()
        except OSError:
            return False
        return True

    def sync(self) -> None:
        """Return once the lines that were written are on the disk, not only with the system. Any thread may ask.

        Raises:
            OSError: the disk refused.
        """
        os.fsync(self._descriptor)

    def keep_until(self, step: float) -> None:
        """Drop the first row later than `step` and all after it: on resume they will be made again.

        Raises:
            RunDirectoryError: the file cannot be read or cut.
        """
        try:
            os.ftruncate(self._descriptor, _start_of_later_rows(self.path, step))
        except OSError as error:
            raise RunDirectoryError(f"{self.path} cannot be cut back to step {step:g}: {error.strerror}.") from error

    def close(self) -> None:
        """Try once more to write what waits, and close; a second call does nothing."""
        if self._descriptor >= 0:
            self.flush()
        self._close_all()

    def _open(self) -> None:
        """Open what is at the path, or make it, in place of what was open; what is no file is put aside then."""
        if self._descriptor >= 0:
            put_aside(self._folder, self.path.name)
        descriptor = own_descriptor(Path(self.path.name), os.O_RDWR | os.O_APPEND | os.O_CREAT, folder=self._folder)
        if self._descriptor < 0:
            self._descriptor = descriptor
        else:
            # Under the number that it had: another thread may be about to sync it.
            os.dup2(descriptor, self._descriptor, inheritable=False)
            let_go(descriptor)
        self._stump_at = None
        end = end_of_last_line(self._descriptor)
        if end < os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, end)

    def _close_all(self) -> None:
        if self._descriptor >= 0:
            let_go(self._descriptor)
            self._descriptor = -1
        self._held.close()

    def _write_waiting(self) -> None:
        while self._waiting:
            self._write(self._waiting[0])
            del self._waiting[0]

    def _write(self, line: bytes) -> None:
        if not self._is_there():
            self._open()
            self._is_replaced = True
        self._cut_stump()
        start = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, line)
        except OSError:
            self._stump_at = start
            self._cut_stump(quiet=True)
            raise
        if written < len(line):
            self._stump_at = start
            self._cut_stump(quiet=True)
            raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written")

    def _is_there(self) -> bool:
        """Whether the path still leads to what is open."""
        try:
            found = os.stat(self.path.name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(self._descriptor))

    def _cut_stump(self, *, quiet: bool = False) -> None:
        """Undo a failed write; what cannot be undone now is undone before the next write."""
        if self._stump_at is None:
            return
        try:
            if os.fstat(self._descriptor).st_size > self._stump_at:
                os.ftruncate(self._descriptor, self._stump_at)
        except OSError:
            if not quiet:
                raise
            return
        self._stump_at = None

    def _note_failure(self, error: OSError) -> None:
        now = self._clock.monotonic()
        self._failing_since = self._failing_since if self._failures else now
        self._failures += 1
        seconds = now - self._failing_since
        num_bytes = sum(map(len, self._waiting))
        message = (
            f"{self.path} cannot be written: {error.strerror}. {len(self._waiting)} lines ({num_bytes} bytes) wait"
        )
        if self._failures >= FAILURES_IN_A_ROW and seconds >= LEAST_SECONDS:
            raise RunDirectoryError(
                f"{message} after {self._failures} failed writes in a row, in {seconds:.0f} s.\n"
                f"{remedy(error)}. How to go on then: jepa autopsy {typed_name(self.path.parent)}"
            ) from error
        if self._failures == 1 and self._on_failure is not None:
            self._on_failure(f"{message} in memory; the next line tries again", f"{remedy(error)}.")


def end_of_last_line(descriptor: int) -> int:
    """Offset after the last newline of a file; 0 when it has none."""
    position = os.fstat(descriptor).st_size
    while position > 0:
        start = max(0, position - _BLOCK)
        newline = os.pread(descriptor, position - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0


def _start_of_later_rows(path: Path, step: float) -> int:
    offset = 0
    with open_plain(path) as file:
        for line in file:
            try:
                row_step = orjson.loads(line).get("step", 0)
                if row_step > step:
                    break
            except (orjson.JSONDecodeError, AttributeError, TypeError):
                pass
            offset += len(line)
    return offset
