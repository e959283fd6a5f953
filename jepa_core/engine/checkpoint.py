"""Checkpoints: a folder of safetensors, JSON and a manifest of SHA-256 sums, renamed into place when complete.

No pickle anywhere. "Newest" is the newest folder that verifies. Knows nothing of what the state means.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from jepa_core.engine.checkpoint_tree import join_tree, split_tree
from jepa_core.errors import CheckpointError

FORMAT = 1
_NAME = re.compile(r"step-(\d+)")
_PARTIAL = ".partial"
_FILES = ("tensors.safetensors", "state.json")


@attrs.frozen
class Checkpoint:
    """A complete checkpoint on disk."""

    path: Path
    step: int

    def verify(self) -> str | None:
        """Why this checkpoint cannot be trusted; None when every byte is as it was written."""
        try:
            return next(self._faults(), None)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{type(error).__name__}: {error}"

    def _faults(self) -> Iterator[str]:
        manifest = json.loads((self.path / "manifest.json").read_bytes())
        if manifest["sum"] != _manifest_sum(manifest):
            yield "the manifest is damaged: its own sum does not fit"
        if manifest["format"] != FORMAT or manifest["step"] != self.step:
            yield "the manifest is of another format or step"
        if manifest["files"].keys() != set(_FILES):
            yield f"the manifest names {sorted(manifest['files'])} instead of {sorted(_FILES)}"
        for name in _FILES:
            if _digest(self.path / name) != manifest["files"][name]["sha256"]:
                yield f"{name} is damaged: its SHA-256 sum is not the manifest's"

    def load(self) -> dict[str, Any]:
        """The state by entry name.

        Raises:
            CheckpointError: it does not verify, or cannot be read.
        """
        fault = self.verify()
        if fault is not None:
            raise CheckpointError(f"Checkpoint {self.path} cannot be used: {fault}. Use an older one.")
        try:
            tensors = load_file(self.path / "tensors.safetensors")
            values = json.loads((self.path / "state.json").read_bytes())
        except (OSError, ValueError, SafetensorError) as error:
            raise CheckpointError(f"Checkpoint {self.path} cannot be read: {error}") from error
        states: dict[str, Any] = join_tree(tensors, values)
        return states


class CheckpointFolder:
    """The `checkpoints/` folder of a run."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._keep = keep

    def all(self) -> list[Checkpoint]:
        """Complete checkpoints, oldest first; stale temporaries are not among them."""
        if not self.folder.is_dir():
            return []
        matches = [(path, _NAME.fullmatch(path.name)) for path in self.folder.iterdir() if path.is_dir()]
        found = [Checkpoint(path, int(match.group(1))) for path, match in matches if match]
        return sorted(found, key=lambda checkpoint: checkpoint.step)

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that verifies, and what is wrong with newer ones."""
        faults: list[str] = []
        for checkpoint in reversed(self.all()):
            fault = checkpoint.verify()
            if fault is None:
                return checkpoint, faults
            faults.append(f"{checkpoint.path.name}: {fault}")
        return None, faults

    def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
        """Write a checkpoint: complete under its name, or not there at all.

        Raises:
            CheckpointError: the disk refused; nothing half-written remains.
        """
        final = self.folder / f"step-{step}"
        partial = self.folder / f".step-{step}{_PARTIAL}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._remove_partials()
            partial.mkdir()
            _write_files(partial, step, states)
            replaced = self.folder / f".step-{step}.replaced{_PARTIAL}"
            if final.exists():
                # Two renames, not a removal that takes long: a kill between them costs this one step's checkpoint.
                final.rename(replaced)
            partial.rename(final)
            _sync(self.folder)
            shutil.rmtree(replaced, ignore_errors=True)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise CheckpointError(
                f"Checkpoint {final} could not be written: {error}. Free space, or move the run."
            ) from error
        return Checkpoint(final, step)

    def prune(self, best_step: int | None) -> list[int]:
        """Delete all but the newest `keep` and the best, once the newest was read back; returns the steps deleted."""
        checkpoints = self.all()
        if not checkpoints or checkpoints[-1].verify() is not None:
            return []
        kept = {checkpoint.step for checkpoint in checkpoints[-self._keep :]} | {best_step}
        superfluous = [checkpoint for checkpoint in checkpoints if checkpoint.step not in kept]
        for checkpoint in superfluous:
            shutil.rmtree(checkpoint.path)
        return [checkpoint.step for checkpoint in superfluous]

    def _remove_partials(self) -> None:
        for stale in self.folder.glob(f".step-*{_PARTIAL}"):
            shutil.rmtree(stale)


def _write_files(folder: Path, step: int, states: Mapping[str, Any]) -> None:
    tensors, values = split_tree(states)
    save_file(tensors, folder / "tensors.safetensors")
    (folder / "state.json").write_text(json.dumps(values, indent=1), encoding="utf-8")
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "step": step,
        "files": {name: {"sha256": _digest(folder / name), "bytes": (folder / name).stat().st_size} for name in _FILES},
    }
    manifest["sum"] = _manifest_sum(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _manifest_sum(manifest: Mapping[str, Any]) -> str:
    content = {key: manifest[key] for key in ("format", "step", "files")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
