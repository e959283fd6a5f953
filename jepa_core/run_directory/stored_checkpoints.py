"""Checkpoints as they lie on a disk: which there are, and which of them can be trusted.

A checkpoint is a folder `step-N` of safetensors, JSON and a manifest of SHA-256 sums. Writing and loading them is in
`jepa_core.engine.checkpoint`; this module reads bytes only, so that the monitor can ask too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from jepa_core.errors import CheckpointError
from jepa_core.plain_files import open_plain, read_plain
from jepa_core.run_directory.checkpoint_contents import TENSORS, VALUES, ContentsError, contents_fault, strict_json
from jepa_core.run_directory.layout import linked
from jepa_core.visible_text import clean

FORMAT = 1
FILES = (TENSORS, VALUES)
"""What a checkpoint holds beside its manifest."""
MANIFEST = "manifest.json"
_MAX_MANIFEST = 1 << 20
_CHUNK = 1 << 20

_NAME = re.compile(r"step-(0|[1-9][0-9]{0,17})")
_SET_ASIDE = ".replaced"


@attrs.frozen
class Checkpoint:
    """A complete checkpoint on disk."""

    path: Path
    step: int

    def verify(self, read: Callable[[int], object] = lambda _: None) -> str | None:
        """Why this checkpoint cannot be trusted; None when every byte is as it was written, and is a checkpoint's.

        `read` is called with the number of bytes that were read since, of long files several times.
        """
        try:
            return next(self._faults(read), None)
        except OSError as error:
            name = clean(Path(error.filename).name, 60) if error.filename else "a file"
            if isinstance(error, FileNotFoundError):
                return f"{name} is missing"
            return f"{name} cannot be read: {error.strerror or error}"

    def size(self) -> int:
        """Bytes of its files; of those that cannot be asked none."""
        return sum(map(_size, (self.path / name for name in (*FILES, MANIFEST))))

    def _faults(self, read: Callable[[int], object]) -> Iterator[str]:
        if self.path.is_symlink():
            yield "it is a symbolic link, which could lead anywhere; put what it leads to in its place"
            return
        try:
            files = self._files_by_manifest()
        except ContentsError as error:
            yield f"{MANIFEST} {error}"
            return
        for name in FILES:
            size = (self.path / name).stat().st_size
            if size != files[name]["bytes"]:
                yield f"{name} is damaged: it has {size:,} bytes, and by {MANIFEST} {files[name]['bytes']:,}"
            if file_sum(self.path / name, read) != files[name]["sha256"]:
                yield f"{name} is damaged: its SHA-256 sum is not the manifest's"
        fault = contents_fault(self.path, self.step)
        if fault is not None:
            yield fault

    def _files_by_manifest(self) -> Mapping[str, Mapping[str, Any]]:
        """Name of a file → `bytes` and `sha256`.

        Raises:
            ContentsError: the manifest is damaged, or of something else.
        """
        try:
            content = read_plain(self.path / MANIFEST, _MAX_MANIFEST)
        except ValueError as error:
            raise ContentsError(f"is damaged: {error}") from None
        manifest = strict_json(content)
        if not isinstance(manifest, dict) or "format" not in manifest:
            raise ContentsError("is damaged: it is no manifest of a checkpoint")
        if type(manifest["format"]) is not int or manifest["format"] != FORMAT:
            shown = clean(repr(manifest["format"]), 40)
            raise ContentsError(f"is of format {shown}, and this version reads format {FORMAT}")
        if not _is_manifest(manifest):
            raise ContentsError("is damaged: it is no manifest of a checkpoint")
        if manifest["sum"] != manifest_sum(manifest):
            raise ContentsError("is damaged: its own sum does not fit")
        if manifest["step"] != self.step:
            raise ContentsError(f"is of step {manifest['step']}, and the folder of step {self.step}")
        files: Mapping[str, Mapping[str, Any]] = manifest["files"]
        if files.keys() != set(FILES):
            raise ContentsError(f"names {clean(', '.join(sorted(files)), 80)} instead of {' and '.join(FILES)}")
        return files


@attrs.frozen
class Newest:
    """The newest checkpoint that can be trusted, of those asked for."""

    checkpoint: Checkpoint | None
    faults: tuple[str, ...]
    """What is wrong with newer ones, each with its name."""


def checkpoint_name(step: int) -> str:
    """The folder's name."""
    return f"step-{step}"


def set_aside_name(name: str) -> str:
    """What a checkpoint's folder is called while another of the same step takes its place."""
    return f".{name}{_SET_ASIDE}"


def set_aside_step(path: Path) -> int | None:
    """The step of a checkpoint that was set aside; None of any other path."""
    if not path.name.endswith(_SET_ASIDE):
        return None
    match = _NAME.fullmatch(path.name.removeprefix(".").removesuffix(_SET_ASIDE))
    return int(match.group(1)) if match and path.name.startswith(".") else None


def stored_checkpoints(folder: Path) -> list[Checkpoint]:
    """Complete checkpoints in a `checkpoints/` folder, oldest first; stale temporaries are not among them.

    Raises:
        CheckpointError: the folder is a link.
    """
    refuse_linked(folder)
    try:
        paths = [path for path in folder.iterdir() if _is_folder(path)]
    except OSError:
        return []
    found = {int(match.group(1)): path for path in paths if (match := _NAME.fullmatch(path.name))}
    # Whoever was to take the place of one that was set aside has not come: the process died between two renames.
    aside = {step: path for path in paths if (step := set_aside_step(path)) is not None}
    return [Checkpoint(path, step) for step, path in sorted((aside | found).items())]


def refuse_linked(folder: Path) -> None:
    """
    Raises:
        CheckpointError: a `checkpoints/` folder is a link.
    """
    with suppress(OSError):  # what is done with the folder meets it, too
        if folder.is_symlink():
            raise CheckpointError(linked(folder))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def newest_verified(
    folder: Path, *, up_to: float = math.inf, refused: Callable[[Checkpoint], str | None] = lambda _: None
) -> Newest:
    """The newest checkpoint that verifies, of those up to a step; `refused` says why one that does is not wanted.

    Raises:
        CheckpointError: the folder is a link.
    """
    faults: list[str] = []
    for checkpoint in reversed([found for found in stored_checkpoints(folder) if found.step <= up_to]):
        fault = checkpoint.verify() or refused(checkpoint)
        if fault is None:
            return Newest(checkpoint, tuple(faults))
        faults.append(f"{checkpoint.path.name}: {fault}")
    return Newest(None, tuple(faults))


def _is_manifest(manifest: Mapping[str, Any]) -> bool:
    return (
        manifest.keys() == {"format", "step", "files", "sum"}
        and type(manifest["step"]) is int
        and isinstance(manifest["files"], dict)
        and all(
            isinstance(file, dict)
            and file.keys() == {"sha256", "bytes"}
            and isinstance(file["sha256"], str)
            and type(file["bytes"]) is int
            for file in manifest["files"].values()
        )
    )


def deleted(folder: Path) -> str:
    """Delete a checkpoint, or the link to one; why it could not be, if it is still there."""
    try:
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)
    except OSError as error:
        return f"{folder}: {error.strerror or error}" if os.path.lexists(folder) else ""
    return ""


def manifest_sum(manifest: Mapping[str, Any]) -> str:
    """The sum that a manifest holds of its own content."""
    content = {key: manifest[key] for key in ("format", "step", "files")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_sum(path: Path, read: Callable[[int], object] = lambda _: None) -> str:
    """SHA-256 of a file, in hexadecimal; `read` as of `Checkpoint.verify`."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK))
    with open_plain(path) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            read(count)
    return digest.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
