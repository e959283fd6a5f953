"""A folder of files that comes to be whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from jepa_core.errors import JepaError, RecipeError
from jepa_core.visible_text import clean


def check_free(folder: Path) -> None:
    """Raises RecipeError unless the folder can be made, or is there and empty."""
    shown = clean(str(folder))
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise RecipeError(f"{shown} is there already, and is no folder. Name a new one.")
    if folder.is_dir() and any(folder.iterdir()):
        raise RecipeError(f"{shown} is there already, and is not empty: nothing was written. Name a new folder.")
    if not folder.resolve().parent.is_dir():
        raise RecipeError(f"{shown} cannot be made: there is no folder {clean(str(folder.resolve().parent))}.")


def write_folder(folder: Path, contents: Mapping[str, str]) -> None:
    """Write every file (relative path → text) below the folder, which is new or empty; after a failure, none is there.

    Raises:
        RecipeError: the folder is not free.
        JepaError: the file system refuses.
    """
    check_free(folder)
    target = folder.resolve()
    try:
        # Beside the target, so that moving never copies.
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as staged:
            for path, text in contents.items():
                file = Path(staged, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            _move_entries(Path(staged), target)
    except OSError as error:
        raise JepaError(f"{clean(str(folder))} could not be written, and was left as it was: {error}") from error


def _move_entries(staged: Path, target: Path) -> None:
    """Move everything, or nothing. A target that is there stays the same folder: a shell may be in it."""
    is_new = not target.exists()
    target.mkdir(exist_ok=True)
    moved: list[Path] = []
    try:
        for entry in sorted(staged.iterdir()):
            moved.append(entry.rename(target / entry.name))  # noqa: PERF401  # what was moved must be known after a failure
    except BaseException:
        for entry in moved:
            entry.rename(staged / entry.name)
        if is_new:
            target.rmdir()
        raise
