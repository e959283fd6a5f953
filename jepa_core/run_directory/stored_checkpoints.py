"""Checkpoints as they lie on a disk: which there are, and which of them can be trusted.

A checkpoint is a folder `step-N` of safetensors, JSON and a manifest of SHA-256 sums. Writing and loading them is in
`jepa_core.engine.checkpoint`; this module reads bytes only, so that the monitor can ask too.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_core.plain_files import open_plain, read_plain

FORMAT = 1
FILES = ("tensors.safetensors", "state.json")
"""What a checkpoint holds beside its manifest."""
MANIFEST = "manifest.json"
_MAX_MANIFEST = 1 << 20

_NAME = re.compile(r"step-(0|[1-9][0-9]{0,17})")
_SET_ASIDE = ".replaced"


@attrs.frozen
class Checkpoint:
    """A complete checkpoint on disk."""

    path: Path
    step: int

    def verify(self) -> str | None:
        """Why this checkpoint cannot be trusted; None when every byte is as it was written."""
        try:
            return next(self._faults(), None)
        except OSError as error:
            name = Path(error.filename).name if error.filename else "a file"
            if isinstance(error, FileNotFoundError):
                return f"{name} is missing"
            return f"{name} cannot be read: {error.strerror or error}"
        except ValueError:
            return f"{MANIFEST} is damaged: it is no JSON"
        except (KeyError, TypeError, AttributeError, RecursionError):
            return f"{MANIFEST} is damaged: it is no manifest of a checkpoint"

    def _faults(self) -> Iterator[str]:
        manifest = json.loads(read_plain(self.path / MANIFEST, _MAX_MANIFEST))
        if manifest["sum"] != manifest_sum(manifest):
            yield f"{MANIFEST} is damaged: its own sum does not fit"
        if manifest["format"] != FORMAT:
            yield f"{MANIFEST} is of another format"
        if manifest["step"] != self.step:
            yield f"{MANIFEST} is of another step"
        if manifest["files"].keys() != set(FILES):
            yield f"{MANIFEST} names {sorted(manifest['files'])} instead of {sorted(FILES)}"
        for name in FILES:
            if file_sum(self.path / name) != manifest["files"][name]["sha256"]:
                yield f"{name} is damaged: its SHA-256 sum is not the manifest's"


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
    """Complete checkpoints in a `checkpoints/` folder, oldest first; stale temporaries are not among them."""
    try:
        paths = [path for path in folder.iterdir() if _is_folder(path)]
    except OSError:
        return []
    found = {int(match.group(1)): path for path in paths if (match := _NAME.fullmatch(path.name))}
    # Whoever was to take the place of one that was set aside has not come: the process died between two renames.
    aside = {step: path for path in paths if (step := set_aside_step(path)) is not None}
    return [Checkpoint(path, step) for step, path in sorted((aside | found).items())]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def newest_verified(folder: Path, *, up_to: float = math.inf) -> Newest:
    """The newest checkpoint that verifies, of those up to a step."""
    faults: list[str] = []
    for checkpoint in reversed([found for found in stored_checkpoints(folder) if found.step <= up_to]):
        fault = checkpoint.verify()
        if fault is None:
            return Newest(checkpoint, tuple(faults))
        faults.append(f"{checkpoint.path.name}: {fault}")
    return Newest(None, tuple(faults))


def manifest_sum(manifest: Mapping[str, Any]) -> str:
    """The sum that a manifest holds of its own content."""
    content = {key: manifest[key] for key in ("format", "step", "files")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_sum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
