"""Opening files in folders that anybody may have made: plain ones only, since a pipe or a device may never end."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


class NotPlainError(OSError):
    """What is there is a folder, a pipe, a socket or a device, or a link to one."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "it is no plain file", str(path))


def plain_descriptor(path: Path, flags: int = os.O_RDONLY, *, follow_links: bool = True) -> int:
    """Open a plain file, without waiting for anybody at a pipe's other end; a file that `flags` make is for its owner
    to write and for all to read.

    Raises:
        NotPlainError: it is none.
        OSError: it cannot be opened.
    """
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        # A folder that is to be written, a pipe that nobody reads, a socket.
        if error.errno in (errno.EISDIR, errno.ENXIO):
            raise NotPlainError(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotPlainError(path)
    return descriptor


def open_plain(path: Path, *, follow_links: bool = True) -> BufferedReader:
    """A plain file to read.

    Raises:
        NotPlainError: it is none.
        OSError: it cannot be opened.
    """
    return os.fdopen(plain_descriptor(path, follow_links=follow_links), "rb")


def read_plain(path: Path, most: int, *, follow_links: bool = True) -> bytes:
    """A plain file of at most `most` bytes.

    Raises:
        ValueError: it is larger.
        NotPlainError: it is none.
        OSError: it cannot be read.
    """
    with open_plain(path, follow_links=follow_links) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most // 1024} KiB")
    return content
