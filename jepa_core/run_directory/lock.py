"""The lock of a run directory: one process writes to it. The system drops it when that process dies, in any way.

It is on the directory itself, which cannot be deleted unnoticed, and on `run.lock`, which names who holds it. Where a
file system locks no directories (NFS), `run.lock` is all there is; taken anew where it was deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import attrs
import orjson

from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import let_go, own_descriptor, plain_descriptor
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock, local_time
from jepa_core.run_directory.layout import CHECKPOINTS, CONTROL, LOCK, linked
from jepa_core.run_directory.replacing import is_put_aside, not_opened

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def is_locked(run: Path) -> bool:
    """Whether a process holds the lock of a run directory now."""
    return _is_held(lambda: os.open(run, _FOLDER)) or _is_held(lambda: plain_descriptor(run / LOCK))


def _is_held(opened: Callable[[], int]) -> bool:
    try:
        descriptor = opened()
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        let_go(descriptor)
    return False


@attrs.frozen(kw_only=True)
class Loss:
    """A run directory that a process has lost while it wrote there."""

    what: str
    """A main clause, such as "runs/a-1 was renamed to runs/b while it was trained"."""
    path: Path | None
    """Where the directory is now; None where it is no more, or another process's."""
    remedy: str = ""
    """What to do where there is no path to go on from."""


class DirectoryLostError(RunDirectoryError):
    """A run's directory is no longer where the run's process can go on in it."""

    def __init__(self, message: str, loss: Loss) -> None:
        super().__init__(message)
        self.loss = loss


class RunLock:
    """Held from construction to `release`."""

    def __init__(self, run: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take the lock, without waiting.

        Raises:
            RunDirectoryError: another process holds it (named with host and time), the file cannot be written, or a
                folder within the run is a link.
        """
        self._run, self._path, self._clock = run, run / LOCK, clock
        self._descriptor = self.folder = -1
        """`folder` is the directory's descriptor: it stays this directory's, wherever it is moved."""
        self._looking = threading.Lock()
        try:
            self.folder = os.open(run, _FOLDER)
            self._descriptor = own_descriptor(self._path, os.O_RDWR | os.O_CREAT)
            elsewhere = _linked_folder(self.folder)
        except OSError as error:
            self.release()
            raise not_opened(self._path, error) from error
        if elsewhere is not None:
            self.release()
            raise RunDirectoryError(linked(run / elsewhere))
        try:
            _lock_folder(self.folder)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sign()
        except BlockingIOError:
            message = f"{run} is in use by {_holder(self._descriptor)}: a run directory takes one process at a time."
            self.release()
            raise RunDirectoryError(message) from None
        except OSError as error:
            self.release()
            raise RunDirectoryError(f"{self._path} cannot be locked: {error.strerror}.") from error

    def loss(self) -> Loss | None:
        """Why the directory is lost; None while it is not. Cheap: one look at one file. Any thread may ask."""
        with self._looking:
            if self._descriptor < 0 or _leads_to(self._path, self._descriptor):
                return None
            if _leads_to(self._run, self.folder):
                return self._take_again()
            now = _place(self.folder, self._run)
            if now is not None:
                return Loss(what=f"{self._run} was renamed to {now} while it was trained", path=now)
            return Loss(
                what=f"{self._run} was removed, or moved to another disk, while it was trained",
                path=None,
                remedy="Where it was moved, go on from its newest checkpoint there: jepa run --resume PATH. Where it "
                "was removed, start a new run.",
            )

    def release(self) -> None:
        """Let go; a second call does nothing."""
        for descriptor in (self._descriptor, self.folder):
            if descriptor >= 0:
                let_go(descriptor)
        self._descriptor = self.folder = -1

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.release()

    def _sign(self) -> None:
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": self._clock.now()}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, orjson.dumps(holder), 0)

    def _take_again(self) -> Loss | None:
        """Lock the file that has taken the place of `run.lock`, or make one."""
        try:
            anew = own_descriptor(Path(LOCK), os.O_RDWR | os.O_CREAT, folder=self.folder)
        except OSError:
            return None  # the next look tries again
        try:
            _lock_patiently(anew)
        except OSError as error:
            holder = _holder(anew)
            let_go(anew)
            if not isinstance(error, BlockingIOError):
                return None
            return Loss(
                what=f"{self._path} was deleted while {self._run} was trained, and {holder} has taken the run",
                path=None,
                remedy="Leave it to that process.",
            )
        let_go(self._descriptor)
        self._descriptor = anew
        with contextlib.suppress(OSError):
            self._sign()
        return None


def _linked_folder(folder: int) -> str | None:
    """The name of a link that stands for a folder in an open one: whoever writes there would write elsewhere."""
    with os.scandir(folder) as entries:
        links = [entry for entry in entries if entry.is_symlink() and not is_put_aside(entry.name)]
        return next((entry.name for entry in links if entry.name in (CHECKPOINTS, CONTROL) or entry.is_dir()), None)


def _lock_folder(folder: int) -> None:
    """
    Raises:
        BlockingIOError: another process holds it.
    """
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # this file system locks files only


def _lock_patiently(descriptor: int) -> None:
    """Whoever only asks `is_locked` holds it for a moment.

    Raises:
        OSError: another process holds it (BlockingIOError), or it cannot be locked.
    """
    for _ in range(20):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.005)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _leads_to(path: Path, descriptor: int) -> bool:
    """Whether a path leads to what is open; also where the disk does not say otherwise."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _place(folder: int, run: Path) -> Path | None:
    """Where an open folder is now, typed as `run` is; None where it is no more, or the system does not say."""
    try:
        if hasattr(fcntl, "F_GETPATH"):
            now = Path(fcntl.fcntl(folder, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0").decode())
        else:
            now = Path(f"/proc/self/fd/{folder}").readlink()
        if not os.path.samestat(now.stat(), os.fstat(folder)):
            return None
    except (OSError, ValueError):
        return None
    here = Path.cwd()
    return now.relative_to(here) if not run.is_absolute() and now.is_relative_to(here) else now


def _holder(descriptor: int) -> str:
    """Who holds a lock, in words. It writes its name just after it has the lock, so ask more than once."""
    for _ in range(20):
        try:
            holder = orjson.loads(os.pread(descriptor, 4096, 0))
            return f"process {holder['pid']} on {holder['host']} since {local_time(holder['since'])}"
        except (orjson.JSONDecodeError, KeyError, TypeError):
            time.sleep(0.005)
    return "another process"
