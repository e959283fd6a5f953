"""Files that a command is asked to write: refused early where they cannot be, and there whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from jepa_core.errors import DataError
from jepa_core.run_directory.status import Status, shown_state

_DRAFT = re.compile(r"\.jepa-(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{8}\.partial\.\w+")
"""Names of files that are not whole yet."""

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""Those that end a process without an exception."""


def check_output(path: Path, endings: Collection[str], what: str, *, replace: bool) -> None:
    """
    Raises:
        DataError: nothing can be written there: another ending than those of `what`, no folder, or a file that is there
            and is not to be replaced.
    """
    if path.suffix not in endings:
        ending = f"the ending {path.suffix!r}" if path.suffix else "no ending"
        raise DataError(f"{path} has {ending}: {what} are written to {', '.join(endings)}.")
    folder = place_of(path).parent
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder} to write {path.name} to. Make it first.")
    if path.is_dir():
        raise DataError(f"{path} is a folder. Give the name of a file.")
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is no plain file. Give another name.")
    if path.exists() and not replace:
        raise DataError(f"{path} is there already. Give another name, or --force to replace it.")


def place_of(path: Path) -> Path:
    """Where a file is written: a link stays one, and what it leads to is replaced."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def appearing_whole(path: Path) -> Iterator[Path]:
    """A path beside, of the same ending, which takes the file's place at the end and is removed when anything fails,
    and when a signal ends the process. What was left by processes that were killed is removed first.

    Raises:
        DataError: a file cannot be written there.
    """
    place = place_of(path)
    _sweep(place.parent)
    name = f".jepa-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.partial{path.suffix}"
    draft = place.with_name(name)
    try:
        with _removed_by_signals(draft):
            yield draft
            draft.replace(place)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _removed_by_signals(draft: Path) -> Iterator[None]:
    """While entered, a signal that would end the process removes the draft and then ends it all the same. Handlers
    that are there already stay: whoever set them ends the process in another way."""

    def end(number: int, _frame: FrameType | None) -> None:
        draft.unlink(missing_ok=True)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    is_heard = threading.current_thread() is threading.main_thread()
    heard = [number for number in _ENDING_SIGNALS if is_heard and signal.getsignal(number) is signal.SIG_DFL]
    for number in heard:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


def _sweep(folder: Path) -> None:
    """Remove what processes of this host were writing when they were killed."""
    for path in folder.glob(".jepa-*"):
        name = _DRAFT.fullmatch(path.name)
        if name and shown_state(Status(state="running", host=name["host"], pid=int(name["pid"]))) == "crashed":
            with suppress(OSError):
                path.unlink()
