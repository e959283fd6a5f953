"""Checkpoints are written beside training: the state is copied where it lies, and a thread does the rest.

The rest is what takes long: the copy to the host, sums, files, fsync, deleting old checkpoints. One write at a time.
Knows nothing of what the state means, nor of what is told of a write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import attrs
import torch
from torch import Tensor

from jepa_core.engine.checkpoint import in_words
from jepa_core.errors import CheckpointError

Write = Callable[[Mapping[str, Any]], object]
"""Takes a state, and returns once it is on disk; raises where it cannot be written."""


@attrs.frozen
class Written:
    """How a write ended."""

    step: int
    """Of the checkpoint."""
    error: CheckpointError | None
    """Why there is no checkpoint; None when there is one."""


@attrs.frozen
class _UnderWay:
    step: int
    ended: Future[None]


class CheckpointWriting:
    """The write that is under way, if there is one.

    An interpreter that ends waits for it, whatever it ends for; whoever wants to tell how it went asks `outcome`.
    """

    def __init__(self, device: torch.device) -> None:
        """`device`: where the state lies."""
        self._device = device
        self._under_way: _UnderWay | None = None

    def begin(self, step: int, states: Mapping[str, Any], write: Write) -> None:
        """Copy a state as it is now, and write the copy on a thread. The write before must have had its `outcome`."""
        assert self._under_way is None, "two checkpoints are written at once"
        try:
            ended = self._begun(states, write)
        except Exception as error:
            # No room for a copy, or no further thread: a write that failed as any other does.
            ended = Future()
            ended.set_exception(error)
        self._under_way = _UnderWay(step, ended)

    def _begun(self, states: Mapping[str, Any], write: Write) -> Future[None]:
        copied = _copied(states)
        on_cuda = self._device.type == "cuda"
        ready = torch.cuda.current_stream(self._device).record_event() if on_cuda else None
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jepa-checkpoint")
        try:
            return thread.submit(self._written, copied, ready, write)
        finally:
            thread.shutdown(wait=False)  # it ends with its only write

    def outcome(self, *, waits: bool) -> Written | None:
        """How the write ended, told once; None where there was none, or it goes on and is not waited for."""
        write = self._under_way
        if write is None or not (waits or write.ended.done()):
            return None
        wait([write.ended])
        self._under_way = None
        error = write.ended.exception()
        if error is None or isinstance(error, CheckpointError):
            return Written(write.step, error)
        # Whatever it was, training is none the worse for it.
        told = CheckpointError(f"The checkpoint of step {write.step} could not be written: {in_words(error)}.")
        told.__cause__ = error
        return Written(write.step, told)

    def _written(self, copied: Mapping[str, Any], ready: torch.cuda.Event | None, write: Write) -> None:
        """On the thread. Its copies to the host wait for those on the device, and for nothing that training does."""
        if ready is None:
            write(copied)
            return
        stream = torch.cuda.Stream(self._device)
        stream.wait_event(ready)
        # A copy to the host returns when it is done: the device's memory is not given back before.
        with torch.cuda.stream(stream):
            write(copied)


def _copied(tree: Any) -> Any:
    """A tree of state that nobody else holds."""
    if isinstance(tree, Tensor):
        return _copied_tensor(tree.detach())
    if isinstance(tree, Mapping):
        return {key: _copied(value) for key, value in tree.items()}
    return [_copied(value) for value in tree] if isinstance(tree, list | tuple) else tree


def _copied_tensor(tensor: Tensor) -> Tensor:
    try:
        return tensor.clone()
    except torch.OutOfMemoryError:
        # The device has no room for it twice: to the host at once, though that waits for the device.
        return tensor.to("cpu", copy=True)
