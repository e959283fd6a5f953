"""Files of the user's: a `data.path` at which nothing is, what is compressed, and why a file cannot be read."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import IO

from jepa_core.errors import DataError
from jepa_core.home import at_home
from jepa_core.plain_files import NotPlainError, obstacle, open_plain
from jepa_core.recipes.faults import nearest_file

_MOST_NAMES = 10_000
"""Names of a folder that are looked through for one that is near."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+]+:/[^/]")
"""How a URL begins that has become a path, which has no two slashes in a row."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some editors put before UTF-8."""

_MOST_UNPACKED, _UNPACKED_AT_ONCE = 1 << 31, 1 << 20
"""Bytes of a packed file that are looked at for damage, since a small one may unpack without end."""

GZIP = b"\x1f\x8b"
"""How a file begins that gzip has compressed."""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file to read, decompressed where it begins as gzip's do, whatever its name.

    Raises:
        OSError: it cannot be opened, or is no plain file; EOFError and zlib.error too, once it is read.
    """
    # In a buffer of its own a .gz is cut into lines several times as fast.
    with (
        open_plain(path, follow_links=True) as plain,
        BufferedReader(gzip.open(plain)) if plain.peek(len(GZIP))[: len(GZIP)] == GZIP else plain as file,
    ):
        yield file


def damage_in(path: Path) -> str:
    """That a file which gzip has packed does not unpack, in a sentence with what to do; empty where it does, as far as
    it is looked at, and of any other file."""
    try:
        with opened(path) as file:
            if not isinstance(file.raw, gzip.GzipFile):  # type: ignore[attr-defined]  # a buffer of one
                return ""
            for _ in range(_MOST_UNPACKED // _UNPACKED_AT_ONCE):
                if not file.read(_UNPACKED_AT_ONCE):
                    return ""
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        how = "ends too early" if isinstance(error, EOFError) else "does not unpack to what it was"
        return f"{path}: this file is damaged: it was packed by gzip, and {how}. Copy or save it anew."
    except OSError:
        pass
    return ""


def reason(error: BaseException) -> str:
    """Why a file cannot be read, in one line that does not name it again."""
    if (
        isinstance(error, IsADirectoryError | NotPlainError)
        and error.filename
        and (what := obstacle(Path(error.filename)))
    ):
        return f"it is {what}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())


def data_path(text: str) -> Path:
    """A `data.path` as a path, with a home for `~` and `~user`: a whole one where something is there, so that all that
    is said of it says where.

    Raises:
        RecipeError: there is no such user.
    """
    path = Path(at_home(text))
    return path.absolute() if os.path.lexists(path) else path


def require_there(path: Path, wanted: str) -> None:
    """See that there is something at a path; `wanted` says what should be, such as "file".

    Raises:
        DataError: there is not; with the whole path, what a relative one starts from, and the nearest name.
    """
    try:
        there = path.exists()
    except OSError:  # whoever opens it says better what is wrong
        there = True
    if there:
        return
    if path.is_symlink():
        raise DataError(f"{path}: this is {obstacle(path)}. Mend it or give another.")
    if _ADDRESS.match(str(path)):
        raise DataError(
            f"{path}: this is an address, and data.path takes a {wanted} of this machine. Download it first."
        )
    near = _near(path)
    raise DataError(
        f"{path}: there is no such {wanted}.{_looked_for(path)}"
        + (f' Did you mean "{near}"?' if near else "")
        + f" Give another with --set data.path={wanted.upper()}."
    )


def _looked_for(path: Path) -> str:
    if path.is_absolute():
        return ""
    return (
        f" It was looked for at {Path.cwd() / path}: a relative data.path starts from the working directory, not from "
        "the recipe's folder."
    )


def _near(path: Path) -> str:
    """The same path with its first wrong name put right, where one is near; or a file of its name right here."""
    lacking = path
    while lacking.parent != lacking and not os.path.lexists(lacking.parent):
        lacking = lacking.parent
    found = nearest_file(lacking.name, _names_in(lacking.parent))
    if found:
        return str(lacking.with_name(found) / path.relative_to(lacking))
    return path.name if path.name and path.parent != Path() and Path(path.name).exists() else ""


def _names_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, _MOST_NAMES)]
    except OSError:
        return []
