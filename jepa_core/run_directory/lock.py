"""The lock of a run directory: one process writes to it. The system drops it when that process dies, in any way."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from types import TracebackType

import orjson

from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import plain_descriptor
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock, local_time
from jepa_core.run_directory.layout import LOCK


def is_locked(run: Path) -> bool:
    """Whether a process holds the lock of a run directory now."""
    try:
        descriptor = plain_descriptor(run / LOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


class RunLock:
    """Held from construction to `release`."""

    def __init__(self, run: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take the lock, without waiting.

        Raises:
            RunDirectoryError: another process holds it (named with host and time), or the file cannot be written.
        """
        self._path = run / LOCK
        try:
            self._descriptor = plain_descriptor(self._path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise RunDirectoryError(f"{self._path} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": clock.now()}
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, orjson.dumps(holder), 0)
        except BlockingIOError:
            message = f"{run} is in use by {self._holder()}: a run directory takes one process at a time."
            os.close(self._descriptor)
            raise RunDirectoryError(message) from None
        except OSError as error:
            os.close(self._descriptor)
            raise RunDirectoryError(f"{self._path} cannot be locked: {error.strerror}.") from error

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.release()

    def _holder(self) -> str:
        """Who holds it, in words. It writes its name just after it has the lock, so ask more than once."""
        for _ in range(20):
            try:
                holder = orjson.loads(os.pread(self._descriptor, 4096, 0))
                return f"process {holder['pid']} on {holder['host']} since {local_time(holder['since'])}"
            except (orjson.JSONDecodeError, KeyError, TypeError):
                time.sleep(0.005)
        return "another process"
