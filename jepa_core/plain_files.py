"""Opening files in folders that anybody may have made: plain ones only, since a pipe or a device may never end.

No link is followed, unless its reader asks for it: where the folder is a stranger's it could lead to any file of ours.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

_MODE = 0o666
"""Of files that are made: as the umask says, so that all files of a run have one mode."""


class NotPlainError(OSError):
    """What is there is a folder, a pipe, a socket or a device, or a link to one; or a link where none is followed."""

    def __init__(self, path: Path, why: str = "it is no plain file") -> None:
        super().__init__(errno.EINVAL, why, str(path))


def plain_descriptor(
    path: Path, flags: int = os.O_RDONLY, *, follow_links: bool = False, folder: int | None = None
) -> int:
    """Open a plain file, without waiting for anybody at a pipe's other end.

    Args:
        path: the file.
        flags: as of `os.open`.
        follow_links: the last part of the path may be a link.
        folder: descriptor of the folder that the path starts from.

    Raises:
        NotPlainError: it is none, or a link that is not followed.
        OSError: it cannot be opened.
    """
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, _MODE, dir_fd=folder)
    except OSError as error:
        # A folder that is to be written, a pipe that nobody reads, a socket.
        if error.errno in (errno.EISDIR, errno.ENXIO):
            raise NotPlainError(path) from error
        if error.errno == errno.ELOOP and not follow_links:
            raise NotPlainError(path, "it is a symbolic link, which could lead anywhere") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        let_go(descriptor)
        raise NotPlainError(path)
    return descriptor


def let_go(descriptor: int) -> None:
    """Close what was read, or what is on disk already. It is closed whatever is said, so that a disk which refuses
    this too takes nothing with it."""
    with suppress(OSError):
        os.close(descriptor)


def own_descriptor(path: Path, flags: int, *, folder: int | None = None) -> int:
    """Open a plain file to write into, which has this name alone: what is written reaches no other file. `folder` as of
    `plain_descriptor`.

    Raises:
        NotPlainError: it is none, a link, or has further names (hard links), all of which would change with it.
        OSError: it cannot be opened.
    """
    descriptor = plain_descriptor(path, flags, folder=folder)
    names = os.fstat(descriptor).st_nlink
    if names > 1:
        let_go(descriptor)
        raise NotPlainError(path, f"it has {names} names (hard links), and would change under all; put a copy there")
    return descriptor


def open_plain(path: Path, *, follow_links: bool = False) -> BufferedReader:
    """A plain file to read.

    Raises:
        NotPlainError: it is none.
        OSError: it cannot be opened.
    """
    return os.fdopen(plain_descriptor(path, follow_links=follow_links), "rb")


def read_plain(path: Path, most: int, *, follow_links: bool = False, folder: int | None = None) -> bytes:
    """A plain file of at most `most` bytes; `folder` as of `plain_descriptor`.

    Raises:
        ValueError: it is larger.
        NotPlainError: it is none.
        OSError: it cannot be read.
    """
    with os.fdopen(plain_descriptor(path, follow_links=follow_links, folder=folder), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most // 1024} KiB")
    return content


def folder_descriptor(path: Path, *, follow_links: bool = False, folder: int | None = None) -> int:
    """Open a folder; `folder` as of `plain_descriptor`.

    Raises:
        OSError: it is none, or a link that is not followed, or it cannot be opened.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    return os.open(path, flags, dir_fd=folder)


def obstacle(path: Path) -> str:
    """What is at a path where a plain file should be, such as `a folder`; empty for a file, and where nothing is."""
    # Functions of os.path take for absent what cannot be a path at all.
    if os.path.isfile(path) or not os.path.lexists(path):  # noqa: PTH113  # see above
        return ""
    if os.path.isdir(path):  # noqa: PTH112  # see above
        return "a folder"
    if not os.path.exists(path):  # noqa: PTH110  # see above
        return f"a link to {os.readlink(path)}, which leads nowhere"  # noqa: PTH115  # as it stands
    return "no plain file"


@contextmanager
def opened_folder(path: Path, *, follow_links: bool = True) -> Iterator[int]:
    """A descriptor of a folder, from which its files are opened and renamed: it stays this folder whatever takes its
    place meanwhile.

    Raises:
        NotADirectoryError: it is no folder, or a link and `follow_links` is not given.
        OSError: it cannot be opened.
    """
    try:
        descriptor = folder_descriptor(path, follow_links=follow_links)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP) and not follow_links:
            said = f"{path.name} is no folder, or is a symbolic link"
            raise NotADirectoryError(errno.ENOTDIR, said, str(path)) from error
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)
