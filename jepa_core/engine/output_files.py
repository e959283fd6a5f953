"""Files that a command is asked to write: refused early where they cannot be, and there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from jepa_core.errors import DataError


def check_output(path: Path, endings: Collection[str], what: str, *, replace: bool) -> None:
    """
    Raises:
        DataError: nothing can be written there: another ending than those of `what`, no folder, or a file that is there
            and is not to be replaced.
    """
    if path.suffix not in endings:
        ending = f"the ending {path.suffix!r}" if path.suffix else "no ending"
        raise DataError(f"{path} has {ending}: {what} are written to {', '.join(endings)}.")
    if not path.parent.is_dir():
        raise DataError(f"There is no folder {path.parent} to write {path.name} to. Make it first.")
    if path.is_dir():
        raise DataError(f"{path} is a folder. Give the name of a file.")
    if path.exists() and not replace:
        raise DataError(f"{path} is there already. Give another name, or --force to replace it.")


@contextmanager
def appearing_whole(path: Path) -> Iterator[Path]:
    """A path beside, of the same ending, which takes the file's place at the end and is removed when anything fails.

    Raises:
        DataError: a file cannot be written there.
    """
    draft = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)
