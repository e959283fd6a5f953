"""Checkpoints: a folder of safetensors, JSON and a manifest of SHA-256 sums, renamed into place when complete.

No pickle anywhere. "Newest" is the newest folder that verifies. Knows nothing of what the state means; which
checkpoints there are, and whether they can be trusted, is in `jepa_core.run_directory.stored_checkpoints`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from jepa_core.disk_errors import remedy
from jepa_core.engine.safetensors_bytes import SafetensorsFile, flat_bytes
from jepa_core.errors import CheckpointError
from jepa_core.run_directory.checkpoint_contents import TENSOR, ContentsError, stored_values
from jepa_core.run_directory.replacing import sync
from jepa_core.run_directory.stored_checkpoints import (
    FILES,
    FORMAT,
    MANIFEST,
    Checkpoint,
    checkpoint_name,
    deleted,
    manifest_sum,
    newest_verified,
    refuse_linked,
    set_aside_name,
    set_aside_step,
    stored_checkpoints,
)
from jepa_core.visible_text import clean

LEAST_VERIFIED = 2
"""Checkpoints that verify and are kept whatever their ages: should the newest go bad, there is one to go back to."""

_PARTIAL = ".partial"
_MOST_NAMES = 100
"""Names tried for a temporary folder."""


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
        states: dict[str, Any] = join_tree(load_file(checkpoint.path / tensors_file), stored_values(checkpoint.path))
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError, AttributeError) as error:
        # Tensors of a type that torch has not, or files that were changed since.
        name = f"{values_file} " if isinstance(error, ContentsError) else ""
        said = clean(f"{name}{error}", 200)
        raise CheckpointError(f"Checkpoint {checkpoint.path} cannot be read: {said}. Use an older one.") from error
    return states


class NotDeletedError(CheckpointError):
    """Old checkpoints are still there; the newest is as it should be."""


class CheckpointFolder:
    """The `checkpoints/` folder of a run."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._keep = keep
        self._saved: int | None = None
        """Step of the checkpoint that was written last."""
        self._verified: dict[Path, _Stamps] = {}
        """Checkpoints that verified here, and what their files looked like then."""

    def all(self) -> list[Checkpoint]:
        """Complete checkpoints, oldest first; stale temporaries are not among them."""
        return stored_checkpoints(self.folder)

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that verifies, and what is wrong with newer ones."""
        newest = newest_verified(self.folder)
        return newest.checkpoint, list(newest.faults)

    def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
        """Write a checkpoint, and read it back: complete under its name, or not there at all.

        Raises:
            CheckpointError: the disk refused, or the folder is a link; nothing half-written can be taken for a
                checkpoint.
        """
        final = self.folder / checkpoint_name(step)
        partial, num_bytes = None, 0
        refuse_linked(self.folder)
        try:
            # Not its parents: of a run directory that was moved none is made anew.
            self.folder.mkdir(exist_ok=True)
            self.clear()
            tensors, values = split_tree(states)
            file, described = SafetensorsFile(tensors), json.dumps(values, indent=1).encode()
            num_bytes = file.num_bytes + len(described)
            partial = self._made_partial(step)
            # Sums are of what is to be written: they tell where a disk has kept something else.
            contents = zip(FILES, (file.chunks(), [memoryview(described)]), strict=True)
            sums = {name: _write(partial / name, chunks) for name, chunks in contents}
            _write(partial / MANIFEST, [memoryview(_manifest(step, sums))])
            sync(partial)
            fault = Checkpoint(partial, step).verify()
            if fault is not None:
                raise OSError(errno.EIO, f"what was read back is not what was written ({fault})")
            self._give_name(partial, final)
        except Exception as error:
            if partial is not None:
                _discard(partial)
            if not isinstance(error, OSError):
                raise CheckpointError(f"Checkpoint {final} could not be written: {in_words(error)}.") from error
            size = f"It takes {num_bytes:,} bytes. " if num_bytes else ""
            raise CheckpointError(
                f"Checkpoint {final} could not be written: {error}. {size}{remedy(error)}."
            ) from error
        self._saved = step
        self._verified[final] = _stamps(final)
        return Checkpoint(final, step)

    def prune(self, best_step: int | None, healthy_before: Iterable[float] = ()) -> list[int]:
        """Delete all but the newest `keep`, two that verify, the best, and those that a rollback may still want;
        returns the steps deleted.

        Nothing is deleted unless the checkpoint that was written last verifies. What has a higher step was not written
        since: it is left alone, and counts for nothing.

        Args:
            best_step: of the best checkpoint.
            healthy_before: of each of these steps the newest checkpoint before it that verifies is kept.

        Raises:
            NotDeletedError: some of them could not be deleted; all others are.
        """
        stored = self.all()
        newest = stored[-1].step if stored and self._saved is None else self._saved
        checkpoints = [checkpoint for checkpoint in stored if newest is not None and checkpoint.step <= newest]
        if not checkpoints or checkpoints[-1].step != newest or not self._verifies(checkpoints[-1]):
            return []
        kept = {checkpoint.step for checkpoint in checkpoints[-self._keep :]} | {best_step}
        kept |= {found.step for found in islice(filter(self._verifies, reversed(checkpoints)), LEAST_VERIFIED)}
        kept |= {self._healthy(step) for step in healthy_before}
        superfluous = [checkpoint for checkpoint in checkpoints if checkpoint.step not in kept]
        faults = [fault for checkpoint in superfluous if (fault := deleted(checkpoint.path))]
        if faults:
            raise NotDeletedError(
                f"Old checkpoints could not be deleted, and take room: {faults[0]}. Delete them yourself, or let this "
                "user delete them."
            )
        return [checkpoint.step for checkpoint in superfluous]

    def _healthy(self, before: float) -> int | None:
        newest = newest_verified(self.folder, up_to=math.ceil(before) - 1).checkpoint
        return None if newest is None else newest.step

    def _verifies(self, checkpoint: Checkpoint) -> bool:
        """Whether it can be trusted. Its files are read once, and again only when they have changed since."""
        stamps = _stamps(checkpoint.path)
        if not stamps or self._verified.get(checkpoint.path) != stamps:
            if checkpoint.verify() is not None:
                return False
            self._verified[checkpoint.path] = stamps
        return True

    def clear(self) -> None:
        """Finish what an earlier save left undone, as far as the disk lets: nothing of it is in the next one's way."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.startswith(".step-") and path.suffix == _PARTIAL:
                    _discard(path)
                elif (step := set_aside_step(path)) is not None:
                    self._put_back(path, self.folder / checkpoint_name(step))

    def _put_back(self, aside: Path, final: Path) -> None:
        if os.path.lexists(final):
            _discard(aside)
            return
        with suppress(OSError):
            aside.rename(final)

    def _made_partial(self, step: int) -> Path:
        """An empty folder, under a name that nothing has which could not be cleared away."""
        for number in range(_MOST_NAMES):
            partial = self.folder / f".{checkpoint_name(step)}{f'.{number}' if number else ''}{_PARTIAL}"
            with suppress(FileExistsError):
                partial.mkdir()
                return partial
        raise FileExistsError(errno.EEXIST, "every name for a temporary folder is taken", str(self.folder))

    def _give_name(self, partial: Path, final: Path) -> None:
        """Rename a whole checkpoint into place. One of the same step is set aside before, where it is still found: at
        every moment one of the two can be read."""
        aside = self.folder / set_aside_name(final.name)
        replaces = os.path.lexists(final)
        if replaces:
            _discard(aside)
            final.rename(aside)
        try:
            partial.rename(final)
        except OSError:
            if replaces:
                with suppress(OSError):
                    aside.rename(final)
            raise
        sync(self.folder)
        if replaces:
            _discard(aside)


_Stamps = tuple[tuple[int, int, int], ...]


def _stamps(folder: Path) -> _Stamps:
    """What changes whenever a file of a checkpoint does; empty where that cannot be told."""
    try:
        found = [(folder / name).stat() for name in (*FILES, MANIFEST)]
    except OSError:
        return ()
    return tuple((each.st_ino, each.st_size, each.st_ctime_ns) for each in found)


def in_words(error: BaseException) -> str:
    """An error that nobody wrote for users, on one line."""
    return " ".join("".join(traceback.format_exception_only(error)).split()).removesuffix(":")


def _discard(path: Path) -> None:
    """Delete what is no checkpoint, be it a folder, a file or a link, as far as the disk lets."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _manifest(step: int, files: Mapping[str, Any]) -> bytes:
    manifest: dict[str, Any] = {"format": FORMAT, "step": step, "files": files}
    manifest["sum"] = manifest_sum(manifest)
    return json.dumps(manifest, indent=1).encode()


def _write(path: Path, chunks: Iterable[memoryview]) -> dict[str, Any]:
    """Write a file that is not there yet, and sync it; its sum and size, for the manifest."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    digest, num_bytes = hashlib.sha256(), 0
    try:
        for chunk in chunks:
            digest.update(chunk)
            num_bytes += len(chunk)
            left = chunk
            while left:
                written = os.write(descriptor, left)
                if not written:
                    raise OSError(errno.EIO, "the disk takes no more, and does not say why", str(path))
                left = left[written:]
        os.fsync(descriptor)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        os.close(descriptor)
    return {"sha256": digest.hexdigest(), "bytes": num_bytes}


def split_tree(tree: Any, path: str = "") -> tuple[dict[str, Tensor], Any]:
    """A state tree as a checkpoint holds it: its tensors by path, and a JSON value with their paths in their place."""
    if isinstance(tree, Tensor):
        return {path: tree.detach()}, {TENSOR: path}
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
        if values.keys() == {TENSOR}:
            return tensors[values[TENSOR]]
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
    return alike and (a.numel() == 0 or torch.equal(flat_bytes(a).cpu(), flat_bytes(b).cpu()))
