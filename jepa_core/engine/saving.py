"""Checkpoints of a run: written on a thread, old ones deleted after it, and told of in the run's record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from jepa_core.engine.checkpoint import CheckpointFolder, NotDeletedError
from jepa_core.engine.checkpoint_writing import CheckpointWriting
from jepa_core.engine.record import Record
from jepa_core.errors import CheckpointError


class Saving:
    """Writes one checkpoint after the other."""

    def __init__(self, device: torch.device, record: Record) -> None:
        self._record = record
        self._writing = CheckpointWriting(device)
        self.saved_at = -1
        """Step of the newest checkpoint that was written here."""

    def begin(
        self, step: int, states: Mapping[str, Any], folder: CheckpointFolder, *, best: int | None, prune: bool
    ) -> None:
        """Begin to write, and with `prune` to delete what is wanted no longer then; the write before is settled.

        `best`: step of a checkpoint that is kept whatever its age.
        """
        healthy_before = tuple(self._record.healthy_before)

        def write(copied: Mapping[str, Any]) -> None:
            folder.save(step, copied)
            if prune:
                folder.prune(best, healthy_before)

        self._writing.begin(step, states, write)

    def settle(self, *, final: bool = False) -> None:
        """Wait for a checkpoint that is being written, and tell of it: to be called before the folder is read.

        Raises:
            CheckpointError: it could not be written, and is the last one.
        """
        error = self.tell(waits=True)
        if final and error is not None:
            raise error

    def tell(self, *, waits: bool = False) -> CheckpointError | None:
        """Tell of a write that has ended; why it failed."""
        written = self._writing.outcome(waits=waits)
        if written is None:
            return None
        if written.error is None or isinstance(written.error, NotDeletedError):
            self.saved_at = written.step
            self._record.event("checkpoint", "info", f"Checkpoint at step {written.step}.", step=written.step)
        if isinstance(written.error, NotDeletedError):
            self._record.event("checkpoints not deleted", "warning", str(written.error), step=written.step)
            return None
        if written.error is not None:
            self._record.event("checkpoint failed", "warning", str(written.error), step=written.step)
        return written.error
