"""Checkpoints are written beside training: the state is copied where it lies, and a thread does the rest.

The rest is what takes long: the copy to the host, sums, files, fsync, deleting old checkpoints. One write at a time.
Knows nothing of what the state means, nor of what a run records of a write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import attrs
import torch
from torch import Tensor

from jepa_core.engine.checkpoint import in_words, join_tree, split_tree
from jepa_core.engine.safetensors_bytes import flat_bytes, in_order
from jepa_core.errors import CheckpointError

_TOGETHER = 1 << 30
"""Bytes of a state that are copied in one piece."""

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
        put_together = _copied(states)
        on_cuda = self._device.type == "cuda"
        ready = torch.cuda.current_stream(self._device).record_event() if on_cuda else None
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jepa-checkpoint")
        try:
            return thread.submit(self._written, put_together, ready, write)
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

    def _written(self, put_together: Callable[[], Any], ready: torch.cuda.Event | None, write: Write) -> None:
        """On the thread. Its copies to the host wait for those on the device, and for nothing that training does."""
        if ready is None:
            write(put_together())
            return
        stream = torch.cuda.Stream(self._device)
        stream.wait_event(ready)
        # A copy to the host returns when it is done: the device's memory is not given back before.
        with torch.cuda.stream(stream):
            write(put_together())


def _copied(states: Mapping[str, Any]) -> Callable[[], Any]:
    """Copy a tree of state. What is returned puts the copy together, which takes longer, on whichever thread.

    The copy's tensors lie one behind the other as in a checkpoint's file, which so is a few long reads, and to make it
    takes a few launches.
    """
    tensors, values = split_tree(states)
    parts = [(part, _copied_part(part)) for part in _parts(in_order(tensors))]

    def put_together() -> Any:
        copies: dict[str, Tensor] = {}
        for part, copied in parts:
            copies |= zip(part, copied if isinstance(copied, list) else _like(part, copied), strict=True)
        return join_tree(copies, values)

    return put_together


def _copied_part(part: Mapping[str, Tensor]) -> Tensor | list[Tensor]:
    """The bytes of tensors one behind the other; the tensors where that takes more than the device has."""
    try:
        return torch.cat([flat_bytes(tensor) for tensor in part.values()])
    except torch.OutOfMemoryError:
        # To the host at once, though that waits for the device.
        return [tensor.to("cpu", copy=True) for tensor in part.values()]


def _like(part: Mapping[str, Tensor], whole: Tensor) -> list[Tensor]:
    each = whole.split([tensor.nbytes for tensor in part.values()])
    return [flat.view(tensor.dtype).view(tensor.shape) for tensor, flat in zip(part.values(), each, strict=True)]


def _parts(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Neighbours on one device, of up to `_TOGETHER` bytes."""
    part: dict[str, Tensor] = {}
    device, num_bytes = None, 0
    for name, tensor in tensors.items():
        if part and (tensor.device != device or num_bytes + tensor.nbytes > _TOGETHER):
            yield part
            part, num_bytes = {}, 0
        part[name], device = tensor, tensor.device
        num_bytes += tensor.nbytes
    if part:
        yield part
