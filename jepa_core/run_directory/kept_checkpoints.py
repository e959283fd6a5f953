"""The checkpoints that a run has kept: what each is good for, and which of them may be deleted.

What a rule's first sign is, and which one a verdict calls the best, is given; nothing here changes a file but `delete`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.checkpoint_contents import ContentsError, StoredProgress, stored_progress
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.stored_checkpoints import MANIFEST, Checkpoint, deleted, stored_checkpoints

FEWEST = 2
"""Checkpoints that verify and stay, however few are asked for."""


@attrs.frozen(kw_only=True)
class KeptCheckpoint:
    """One of a run's checkpoints."""

    step: int
    epoch: float | None
    """None where it does not say."""
    saved: float | None
    """Seconds since 1970."""
    bytes: int
    path: str
    """Below the run directory."""
    fault: str | None
    """Why it cannot be trusted; None where it verifies."""
    resumes: bool
    """Whether it is the newest that verifies, which a resume goes on from."""
    best: bool
    """Whether the verdict names it."""
    best_so_far: bool
    """Whether it is of the best validation, by the newest that verifies, of a run whose verdict names none."""
    healthy: bool | None
    """Whether it verifies and is from before the first sign of what fired; None where nothing did."""


def num_bytes(run: Path) -> int:
    """Bytes of all checkpoints of a run."""
    return sum(found.size() for found in stored_checkpoints(run / CHECKPOINTS))


def kept_checkpoints(
    run: Path,
    *,
    first_sign: float | None,
    best: int | None,
    inherited: int = -1,
    read: Callable[[int], object] = lambda _: None,
) -> tuple[KeptCheckpoint, ...]:
    """Read and check all of them, oldest first.

    Args:
        run: the run directory.
        first_sign: the first step at which something that fired can be seen; None where nothing fired.
        best: step of the best.
        inherited: step of the checkpoint that a rollback handed down; what was the best before may be of another model.
        read: is called with the number of bytes that were read since.
    """
    there = stored_checkpoints(run / CHECKPOINTS)
    faults = {checkpoint.step: checkpoint.verify(read) for checkpoint in there}
    # A run that trains may have deleted one meanwhile.
    found = [checkpoint for checkpoint in there if checkpoint.path.exists()]
    newest = max((step for step, fault in faults.items() if fault is None), default=None)
    progress = {checkpoint.step: _progress(checkpoint) for checkpoint in found}
    last = progress.get(newest) if newest is not None and newest > inherited and best is None else None
    return tuple(
        KeptCheckpoint(
            step=checkpoint.step,
            epoch=None if (noted := progress[checkpoint.step]) is None else noted.epoch,
            saved=_saved(checkpoint),
            bytes=checkpoint.size(),
            path=str(checkpoint.path.relative_to(run)),
            fault=faults[checkpoint.step],
            resumes=checkpoint.step == newest,
            best=checkpoint.step == best,
            best_so_far=last is not None and checkpoint.step == last.best_step,
            healthy=None if first_sign is None else faults[checkpoint.step] is None and checkpoint.step < first_sign,
        )
        for checkpoint in found
    )


def superfluous(
    checkpoints: Sequence[KeptCheckpoint], keep: int, handed_down: Iterable[int] = ()
) -> tuple[KeptCheckpoint, ...]:
    """Those to delete so that the newest `keep` that verify stay, at least two, oldest first.

    The best stays, and so does the newest healthy one. Those that do not verify are left alone: somebody may want to
    look at them.

    Args:
        checkpoints: of a run, oldest first.
        keep: how many.
        handed_down: steps that runs which went on in this one's place began at; the newest before each stays, as a
            rollback of theirs may go back further than they have checkpoints.
    """
    verified = [checkpoint for checkpoint in checkpoints if checkpoint.fault is None]
    kept = {checkpoint.step for checkpoint in verified[-max(keep, FEWEST) :]}
    kept |= {checkpoint.step for checkpoint in verified if checkpoint.best or checkpoint.best_so_far}
    kept |= {checkpoint.step for checkpoint in [each for each in verified if each.healthy][-1:]}
    for step in handed_down:
        kept |= {checkpoint.step for checkpoint in [each for each in verified if each.step <= step][-1:]}
    return tuple(checkpoint for checkpoint in verified if checkpoint.step not in kept)


def delete(run: Path, checkpoints: Iterable[KeptCheckpoint]) -> None:
    """Delete them, oldest first.

    Raises:
        RunDirectoryError: a process trains the run; or one could not be deleted, and those after it are there still.
    """
    with RunLock(run):
        for checkpoint in checkpoints:
            fault = deleted(run / checkpoint.path)
            if fault:
                raise RunDirectoryError(
                    f"Not every checkpoint could be deleted: {fault}. Delete it yourself, or let this user delete it."
                )


def _progress(checkpoint: Checkpoint) -> StoredProgress | None:
    try:
        return stored_progress(checkpoint.path)
    except (OSError, ContentsError):
        return None


def _saved(checkpoint: Checkpoint) -> float | None:
    """When its last file was written: a rename does not change that."""
    try:
        return (checkpoint.path / MANIFEST).lstat().st_mtime
    except OSError:
        return None
