"""Checkpoints: a folder of safetensors, JSON and a manifest of SHA-256 sums, renamed into place when complete.

No pickle anywhere. "Newest" is the newest folder that verifies. Knows nothing of what the state means; which
checkpoints there are, and whether they can be trusted, is in `jepa_core.run_directory.stored_checkpoints`.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from jepa_core.errors import CheckpointError
from jepa_core.run_directory.stored_checkpoints import (
    FILES,
    FORMAT,
    MANIFEST,
    Checkpoint,
    checkpoint_name,
    file_sum,
    manifest_sum,
    newest_verified,
    stored_checkpoints,
)

_PARTIAL = ".partial"
_TENSOR = "__tensor__"


def load_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """The state by entry name.

    Raises:
        CheckpointError: it does not verify, or cannot be read.
    """
    fault = checkpoint.verify()
    if fault is not None:
        raise CheckpointError(f"Checkpoint {checkpoint.path} cannot be used: {fault}. Use an older one.")
    tensors_file, values_file = FILES
    try:
        tensors = load_file(checkpoint.path / tensors_file)
        values = json.loads((checkpoint.path / values_file).read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"Checkpoint {checkpoint.path} cannot be read: {error}") from error
    states: dict[str, Any] = join_tree(tensors, values)
    return states


class NotDeletedError(CheckpointError):
    """Old checkpoints are still there; the newest is as it should be."""


class CheckpointFolder:
    """The `checkpoints/` folder of a run."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._keep = keep

    def all(self) -> list[Checkpoint]:
        """Complete checkpoints, oldest first; stale temporaries are not among them."""
        return stored_checkpoints(self.folder)

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that verifies, and what is wrong with newer ones."""
        newest = newest_verified(self.folder)
        return newest.checkpoint, list(newest.faults)

    def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
        """Write a checkpoint: complete under its name, or not there at all.

        Raises:
            CheckpointError: the disk refused; nothing half-written remains.
        """
        final = self.folder / checkpoint_name(step)
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
        except (OSError, SafetensorError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise CheckpointError(
                f"Checkpoint {final} could not be written: {error}. Free space, or move the run."
            ) from error
        return Checkpoint(final, step)

    def prune(self, best_step: int | None, healthy_before: Iterable[float] = ()) -> list[int]:
        """Delete all but the newest `keep`, the best, and those that a rollback may still want, once the newest was
        read back; returns the steps deleted.

        Args:
            best_step: of the best checkpoint.
            healthy_before: of each of these steps the newest checkpoint before it that verifies is kept.

        Raises:
            NotDeletedError: some of them could not be deleted; all others are.
        """
        checkpoints = self.all()
        if not checkpoints or checkpoints[-1].verify() is not None:
            return []
        kept = {checkpoint.step for checkpoint in checkpoints[-self._keep :]} | {best_step}
        kept |= {self._healthy(step) for step in healthy_before}
        superfluous = [checkpoint for checkpoint in checkpoints if checkpoint.step not in kept]
        faults = [fault for checkpoint in superfluous if (fault := _deleted(checkpoint.path))]
        if faults:
            raise NotDeletedError(
                f"Old checkpoints could not be deleted, and take room: {faults[0]}. Delete them yourself, or let this "
                "user delete them."
            )
        return [checkpoint.step for checkpoint in superfluous]

    def _healthy(self, before: float) -> int | None:
        newest = newest_verified(self.folder, up_to=math.ceil(before) - 1).checkpoint
        return None if newest is None else newest.step

    def _remove_partials(self) -> None:
        for stale in self.folder.glob(f".step-*{_PARTIAL}"):
            shutil.rmtree(stale, ignore_errors=True)


def _deleted(folder: Path) -> str:
    """Delete a folder; why it could not be, if it is still there."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        return f"{folder}: {error.strerror}" if folder.exists() else ""
    return ""


def _write_files(folder: Path, step: int, states: Mapping[str, Any]) -> None:
    tensors, values = split_tree(states)
    tensors_file, values_file = FILES
    save_file(tensors, folder / tensors_file)
    (folder / values_file).write_text(json.dumps(values, indent=1), encoding="utf-8")
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "step": step,
        "files": {name: {"sha256": file_sum(folder / name), "bytes": (folder / name).stat().st_size} for name in FILES},
    }
    manifest["sum"] = manifest_sum(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def split_tree(tree: Any, path: str = "") -> tuple[dict[str, Tensor], Any]:
    """A state tree as a checkpoint holds it: tensors by path, on the CPU and contiguous, and a JSON value with their
    paths in their place."""
    if isinstance(tree, Tensor):
        return {path: tree.detach().to("cpu", copy=True).contiguous()}, {_TENSOR: path}
    if isinstance(tree, Mapping):
        parts = {str(key): split_tree(value, f"{path}/{key}" if path else str(key)) for key, value in tree.items()}
        tensors = {name: tensor for found, _ in parts.values() for name, tensor in found.items()}
        return tensors, {key: value for key, (_, value) in parts.items()}
    if isinstance(tree, list | tuple):
        items = [split_tree(value, f"{path}/{index}") for index, value in enumerate(tree)]
        return {name: tensor for found, _ in items for name, tensor in found.items()}, [value for _, value in items]
    assert tree is None or isinstance(tree, str | int | float | bool), f"{path} holds a {type(tree).__name__}"
    return {}, tree


def join_tree(tensors: Mapping[str, Tensor], values: Any) -> Any:
    """The inverse of `split_tree`."""
    if isinstance(values, dict):
        if values.keys() == {_TENSOR}:
            return tensors[values[_TENSOR]]
        return {key: join_tree(tensors, value) for key, value in values.items()}
    if isinstance(values, list):
        return [join_tree(tensors, value) for value in values]
    return values


def same_tree(a: Any, b: Any) -> bool:
    """Whether two state trees are equal to the last bit, NaN included."""
    tensors_a, values_a = split_tree(a)
    tensors_b, values_b = split_tree(b)
    return (
        values_a == values_b
        and tensors_a.keys() == tensors_b.keys()
        and all(_same_bits(tensor, tensors_b[name]) for name, tensor in tensors_a.items())
    )


def _same_bits(a: Tensor, b: Tensor) -> bool:
    alike = a.dtype == b.dtype and a.shape == b.shape
    return alike and (a.numel() == 0 or torch.equal(_bytes(a), _bytes(b)))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)
