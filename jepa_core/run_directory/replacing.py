"""Replacing a small file as a whole: readers see the old text or the new, never a part."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import NotPlainError, open_plain, opened_folder, plain_descriptor
from jepa_core.shell_words import typed_path

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_PUT_ASIDE = re.compile(r".+\.put-aside-[0-9a-f]{8}")


def replace_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write `content` beside `path` and rename it into place; a link there is replaced, not followed.

    Args:
        path: the file.
        content: all of it.
        durable: also reach the disk before and after the rename, so that it survives a power cut.

    Raises:
        OSError: the file is as it was before, and nothing is left beside it.
    """
    with opened_folder(path.parent) as folder:
        replace_in(folder, path.name, content, durable=durable)


def replace_in(folder: int, name: str, content: bytes, *, durable: bool = True) -> None:
    """The same in an open folder, given by its descriptor.

    Raises:
        OSError: the file is as it was before, and nothing is left beside it.
    """
    # Whoever may write in the folder cannot put a link there before.
    temporary = f".{name}.{secrets.token_hex(8)}.tmp"
    descriptor = plain_descriptor(
        Path(temporary), os.O_WRONLY | os.O_CREAT | os.O_EXCL, follow_links=False, folder=folder
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    if durable:
        os.fsync(folder)


def put_aside(folder: int, name: str, *, is_wanted: Callable[[int], bool] = stat.S_ISREG) -> str:
    """Rename what is there under a file's name and is no file, such as a folder, a pipe or a link; what it is called
    then, empty where nothing is in the way.

    Args:
        folder: the descriptor of a folder that is this process's own.
        name: of the file, which is free then.
        is_wanted: whether a mode is that of a file; of a folder where one is to have the name.

    Raises:
        OSError: it cannot be renamed.
    """
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return ""
    if is_wanted(found.st_mode):
        return ""
    aside = f"{name}.put-aside-{secrets.token_hex(4)}"
    os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
    return aside


def not_opened(path: Path, error: OSError) -> RunDirectoryError:
    """That a run's file cannot be opened to be written, and what to do: a lost one costs what was in it alone."""
    is_folder = path.is_dir() and not path.is_symlink()
    said = f"{path} cannot be opened for writing: {'it is a folder' if is_folder else error.strerror}."
    if not isinstance(error, NotPlainError) or (path.is_file() and not path.is_symlink()):
        return RunDirectoryError(said)
    aside = path.with_name(f"{path.name}.put-aside-{secrets.token_hex(4)}")
    return RunDirectoryError(
        f"{said}\nPut the file itself back, or move away what is there, and resume: mv {typed_path(path)} "
        f"{typed_path(aside)}\nThe run then begins the file anew, without what was in the old one."
    )


def is_put_aside(name: str) -> bool:
    """Whether a name is one that `put_aside` gives: nothing reads or writes what is called so."""
    return _PUT_ASIDE.fullmatch(name) is not None


def sync(path: Path) -> None:
    """Return once a file, or a folder with the names in it, is on the disk.

    Raises:
        OSError: the disk refused.
    """
    with opened_folder(path) if path.is_dir() else open_plain(path) as opened:
        os.fsync(opened)


def clear_unfinished(folder: int) -> None:
    """Delete what killed processes left of files that they were replacing, as far as the disk lets.

    Args:
        folder: the descriptor of a folder in which nobody replaces a file now.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if _TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=folder)
