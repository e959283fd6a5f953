"""Checkpoints of a run: written on a thread, old ones deleted after it, and told of in the run's record.

State that is not finite is never written: nobody could go on from it, and it would be the newest that verifies.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from jepa_core.engine.checkpoint import CheckpointFolder, NotDeletedError, in_words
from jepa_core.engine.checkpoint_writing import CheckpointWriting
from jepa_core.engine.non_finite import BadTensor
from jepa_core.engine.record import Record
from jepa_core.engine.slices import local
from jepa_core.errors import CheckpointError
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.line_appender import FAILURES_IN_A_ROW, LEAST_SECONDS
from jepa_core.run_directory.writing import LAST_TRIES

EACH_TOLD = 8
"""Of checkpoints that fail in a row, each of the first so many is told of; then the 16th, the 32nd, and so on."""

_FIGURES = frozenset({"meters"})
"""Entries that tell what happened, which is not finite where a skipped step's loss was not."""


class NotFiniteStateError(CheckpointError):
    """The state to be saved is not finite."""

    exit_code = 3

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"The state after step {step} is not finite, and is not saved: {what}.")
        self.what = what
        self.is_of_last = True
        """Whether it was to be the last checkpoint, so that other ranks are at their end, too."""


class Saving:
    """Writes one checkpoint after the other."""

    def __init__(self, device: torch.device, record: Record, built: Mapping[str, Any]) -> None:
        """`built`: the state before the first step. What is not finite in it is meant to be so, such as the −inf of an
        attention mask."""
        self._record = record
        self._writing = CheckpointWriting(device)
        self._exempt = {name for name, leaf in _leaves(built) if not _is_finite(leaf)}
        self.clock: Clock = SYSTEM_CLOCK
        self._failures = 0
        self._failing_since = 0.0
        self.saved_at = -1
        """Step of the newest checkpoint that was written here."""
        self.pause = 1.0
        """Seconds between the first two tries of the last checkpoint."""

    def begin(
        self, step: int, states: Mapping[str, Any], folder: CheckpointFolder, *, best: int | None, prune: bool
    ) -> None:
        """Begin to write, and with `prune` to delete what is wanted no longer then; the write before is waited for.

        `best`: step of a checkpoint that is kept whatever its age.

        Raises:
            CheckpointError: none could be written for too long.
        """
        self._go_on_or_end(self._tell(waits=True))
        self._begin(step, states, folder, best, prune=prune)

    def write_last(
        self, step: int, states: Mapping[str, Any], folder: CheckpointFolder, *, best: int | None, prune: bool
    ) -> None:
        """The same, and wait for it. There is no later one: it is tried several times.

        Raises:
            CheckpointError: it could not be written.
        """
        self.settle()
        for attempt in range(1, LAST_TRIES + 1):
            self._begin(step, states, folder, best, prune=prune)
            error = self._tell(waits=True)
            if error is None:
                return
            if isinstance(error, NotFiniteStateError) or attempt == LAST_TRIES:
                raise error
            time.sleep(self.pause * 3 ** (attempt - 1))

    def tidy(self, folder: CheckpointFolder, best: Mapping[str, float]) -> None:
        """Delete what is wanted no longer where no checkpoint was written here, after which that is done: a process
        before may have been killed while it deleted."""
        if self.saved_at < 0 and folder.all():
            folder.clear()
            with suppress(NotDeletedError):  # which was told of when it was tried first
                _prune(folder, int(best["step"]) if "step" in best else None, tuple(self._record.healthy_before))

    def settle(self) -> None:
        """Wait for a checkpoint that is being written, and tell of it: to be called before the folder is read."""
        self._tell(waits=True)

    def tell(self) -> None:
        """Tell of a write that has ended.

        Raises:
            CheckpointError: none could be written for too long.
        """
        self._go_on_or_end(self._tell(waits=False))

    def _begin(
        self, step: int, states: Mapping[str, Any], folder: CheckpointFolder, best: int | None, *, prune: bool
    ) -> None:
        healthy_before = tuple(self._record.healthy_before)

        def write(copied: Mapping[str, Any]) -> None:
            bad = first_not_finite(copied, self._exempt)
            if bad is not None:
                raise NotFiniteStateError(step, bad)
            folder.save(step, copied)
            if prune:
                _prune(folder, best, healthy_before)

        self._writing.begin(step, states, write)

    def _tell(self, *, waits: bool) -> CheckpointError | None:
        """Tell of a write that has ended; why it failed."""
        written = self._writing.outcome(waits=waits)
        if written is None:
            return None
        step, error = written.step, written.error
        if error is None or isinstance(error, NotDeletedError):
            self.saved_at, self._failures = step, 0
            self._record.event("checkpoint", "info", f"Checkpoint at step {step}.", step=step)
            if error is not None:
                self._record.event("checkpoints not deleted", "warning", str(error), step=step)
            return None
        self._failing_since = self._failing_since if self._failures else self.clock.monotonic()
        self._failures += 1
        if isinstance(error, NotFiniteStateError):
            advice = "Start again from an earlier checkpoint, with a lower optimizer.lr or train.clip_norm."
            evidence = {"step": step, "cause": error.what}
            self._record.event("state not finite", "critical", str(error), step=step, evidence=evidence, advice=advice)
        elif (count := self._failures) <= EACH_TOLD or count.bit_count() == 1:
            in_a_row = f" It is number {count} in a row that failed." if count > EACH_TOLD else ""
            self._record.event("checkpoint failed", "warning", f"{error}{in_a_row}", step=step)
        return error

    def _go_on_or_end(self, error: CheckpointError | None) -> None:
        """Each checkpoint is another try, when it is due; but a run that goes on for long without one works for
        nothing. A state that is not finite does not mend with time."""
        if error is None or self._failures < FAILURES_IN_A_ROW:
            return
        if isinstance(error, NotFiniteStateError):
            error.is_of_last = False
            raise error
        if self.clock.monotonic() - self._failing_since < LEAST_SECONDS:
            return
        newest = f"The newest is of step {self.saved_at}." if self.saved_at >= 0 else "There is none of this session."
        raise CheckpointError(
            f"The run ends: {self._failures} checkpoints in a row could not be written. {newest} {error}"
        ) from error


def first_not_finite(states: Mapping[str, Any], exempt: set[str]) -> str | None:
    """The first tensor or number that a run goes on from and that is not finite, in words."""
    gone_on_from = {entry: state for entry, state in states.items() if entry not in _FIGURES}
    leaves = [(name, leaf) for name, leaf in _leaves(gone_on_from) if name not in exempt]
    if _are_surely_finite([leaf for _, leaf in leaves]):
        return None
    for name, leaf in leaves:
        if not _is_finite(leaf):
            if not isinstance(leaf, Tensor):
                return f"{name} is {leaf}"
            return f"first {BadTensor(name, int((~torch.isfinite(_reals(leaf))).sum()), tuple(leaf.shape)).describe()}"
    return None


def _leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Tensor | float]]:
    """Tensors and real numbers of a tree of state, each with its place in it."""
    if isinstance(tree, Tensor | float):
        yield name, tree
    elif isinstance(tree, Mapping | list | tuple):
        for key, part in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
            yield from _leaves(part, f"{name}.{key}" if name else str(key))


def _are_surely_finite(leaves: Iterable[Tensor | float]) -> bool:
    """Whether all are, by few launches and one wait for each kind of tensor; of very large numbers it is not sure."""
    kinds: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            tensor = _reals(local(leaf))
            kinds.setdefault((tensor.device, tensor.dtype), []).append(tensor)
        elif not math.isfinite(leaf):
            return False
    # A sum of squares is finite only where each of them is.
    return all(bool(torch.stack(torch._foreach_norm(tensors)).isfinite().all()) for tensors in kinds.values())


def _is_finite(leaf: Tensor | float) -> bool:
    if not isinstance(leaf, Tensor):
        return math.isfinite(leaf)
    tensor = _reals(local(leaf))
    # Both extremes are NaN where anything is. Unlike a flag for each element they take no memory.
    return not tensor.numel() or all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(tensor))


def _reals(tensor: Tensor) -> Tensor:
    """The real numbers that a tensor holds, in a type that can be compared; none where its type has no others."""
    if tensor.is_complex():
        return torch.view_as_real(tensor.detach())
    if not tensor.is_floating_point():
        return torch.empty(0)
    return tensor.detach().float() if tensor.element_size() == 1 else tensor.detach()


def _prune(folder: CheckpointFolder, best: int | None, healthy_before: tuple[float, ...]) -> None:
    """
    Raises:
        NotDeletedError: whatever went wrong; the checkpoint that was written before is none the worse.
    """
    try:
        folder.prune(best, healthy_before)
    except NotDeletedError:
        raise
    except Exception as error:
        raise NotDeletedError(f"Old checkpoints could not be deleted: {in_words(error)}.") from error
