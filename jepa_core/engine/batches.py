"""Micro-batches in an order that is a function of seed and position, from a split on the device or beside it.

What does not fit the device stays where it is, in memory or mapped from a file: the next micro-batch is gathered into
pinned memory on a thread of its own and copied over on a stream of its own while the step computes. Both give the same
batches in the same order.
"""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Sequences
from jepa_core.engine.course import Position
from jepa_core.engine.seeds import derived_seed
from jepa_core.errors import RecipeError
from jepa_core.recipes.tables import Place, Recipe
from jepa_core.task_split import is_split_by

MOST_OF_THE_DEVICE = 0.4
"""Share of the device's free memory that a split may take before it stays on the host."""

LARGEST_ADVISED_SHARE = 0.2
"""Of the data, to validate, where what is left to train is too little."""


class BatchStream:
    """Shuffled micro-batches of a split; which begin where is the `Course`'s affair."""

    def __init__(
        self, sequences: Sequences, batch_size: int, seed: int, device: torch.device, *, place: Place = "auto"
    ) -> None:
        require_batch(sequences, batch_size)
        self.batch_size = batch_size
        self.place = chosen_place(place, sequences.observations.num_bytes, device)
        self._num_sequences = len(sequences)
        self._rows: _RowsOnHost | _RowsOnDevice = (
            _RowsOnHost(sequences.observations, device)
            if self.place == "host"
            else _RowsOnDevice(sequences.observations.to(device))
        )
        self._seed = seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def draw(self, position: Position, following: Position | None = None) -> Observations:
        """The micro-batch that begins at a position, (B, T+1, …), on the device.

        `following`: where the next one begins, which is read ahead.
        """
        batch = self._rows.take(self._chosen(position))
        if following is not None and isinstance(self._rows, _RowsOnHost):
            self._rows.prepare(self._chosen(following))
        return batch

    def rows(self, position: Position) -> Tensor:
        """(B,): which rows of the split the micro-batch has that begins at a position."""
        return self._chosen(position)

    def sample(self, size: int) -> Observations:
        """The fixed sample that diagnostics look at: at most `size` sequences, the same in every call."""
        generator = torch.Generator().manual_seed(derived_seed(self._seed, "diagnostics sample"))
        chosen = torch.randperm(self._num_sequences, generator=generator)[:size]
        return self._rows.take(chosen.to(self._rows.device))

    def _chosen(self, position: Position) -> Tensor:
        """(B,): rows of a micro-batch."""
        if position.epoch != self._epoch:
            generator = torch.Generator().manual_seed(derived_seed(self._seed, "order", position.epoch))
            self._order = torch.randperm(self._num_sequences, generator=generator).to(self._rows.device)
            self._epoch = position.epoch
        return self._order[position.drawn : position.drawn + self.batch_size]


def require_training_batch(recipe: Recipe, dataset: SequenceDataset) -> None:
    """Refuse a recipe whose batches are larger than what its data leave to train, or whose first step would not end
    within its epochs; where a share of the data validates that could be smaller, it is named.

    Raises:
        RecipeError: they are.
    """
    batch_size, num, there = recipe.train.batch_size, len(dataset.train), len(dataset.train) + len(dataset.validation)
    share = getattr(recipe.data, "validation_share", None)
    if num < batch_size < there and share is not None and is_split_by(share, dataset.train, dataset.validation):
        taken = f", as data.validation_share = {share:g} takes {there - num:,} of {there:,} to validate"
        smaller = min(LARGEST_ADVISED_SHARE, math.floor(100 * (1 - batch_size / there)) / 100)
        is_cause = 0 < smaller < share
        raise _too_large(batch_size, num, taken, f"data.validation_share={smaller:g}" if is_cause else "")
    require_batch(dataset.train, batch_size)
    per_epoch, train = num // batch_size, recipe.train
    if train.accumulate > train.epochs * per_epoch:
        raise RecipeError(
            f"train.accumulate = {train.accumulate:,}: a step takes that many batches of {batch_size:,}, and "
            f"train.epochs = {train.epochs:,} has {train.epochs * per_epoch:,} of them in all. An epoch is at most one "
            f"step with --set train.accumulate={per_epoch}, and more with less."
        )


def require_batch(sequences: Sequences, batch_size: int) -> None:
    """Refuse batches larger than the data.

    Raises:
        RecipeError: they are.
    """
    if len(sequences) < batch_size:
        raise _too_large(batch_size, len(sequences))


def _too_large(batch_size: int, num: int, why: str = "", smaller_share: str = "") -> RecipeError:
    there = f"there is only {num} training sequence" if num == 1 else f"there are only {num} training sequences"
    first = f"--set {smaller_share} or less, " if smaller_share else ""
    fewer = "" if num == 1 else " or less"
    return RecipeError(
        f"train.batch_size is {batch_size}, but {there}{why}. Use {first}--set train.batch_size={num}{fewer}, "
        "or more data."
    )


def chosen_place(place: Place, num_bytes: int, device: torch.device) -> Place:
    """Where a split lies: as asked for, else on the device where there is room. On the CPU both are the same place."""
    if device.type != "cuda":
        return "device"
    if place != "auto":
        return place
    free, _ = torch.cuda.mem_get_info(device)
    return "device" if num_bytes <= MOST_OF_THE_DEVICE * free else "host"


class _RowsOnDevice:
    def __init__(self, observations: Observations) -> None:
        self._observations = observations
        self.device = observations.device
        """Where row numbers lie: beside the observations."""

    def take(self, rows: Tensor) -> Observations:
        return self._observations[rows]


class _RowsOnHost:
    """Copies one batch ahead."""

    def __init__(self, observations: Observations, device: torch.device) -> None:
        self._observations = observations
        self.device = observations.device
        """Where row numbers lie: beside the observations."""
        self._target = device
        self._stream = torch.cuda.Stream(device)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jepa-batches")
        self._ahead: tuple[Tensor, Future[tuple[Observations, torch.cuda.Event]]] | None = None
        self._pinned: dict[tuple[str, int], Tensor] = {}
        """Memory that batches are gathered into, by tensor and number of rows, used again for every batch."""
        self._copied_from_pinned: torch.cuda.Event | None = None

    def take(self, rows: Tensor) -> Observations:
        if self._ahead is None or not torch.equal(self._ahead[0], rows):
            self.prepare(rows)
        assert self._ahead is not None
        batch, copied = self._ahead[1].result()
        self._ahead = None
        current = torch.cuda.current_stream(self._target)
        current.wait_event(copied)
        for tensor in batch.tensors.values():
            # Its memory was taken on the other stream, and must not be given to anyone before this one is done with it.
            tensor.record_stream(current)
        return batch

    def prepare(self, rows: Tensor) -> None:
        self._ahead = (rows, self._thread.submit(self._copied, rows))

    def _copied(self, rows: Tensor) -> tuple[Observations, torch.cuda.Event]:
        """Rows gathered and on their way to the device."""
        if self._copied_from_pinned is not None:
            self._copied_from_pinned.synchronize()
        with torch.cuda.stream(self._stream):
            batch = {
                name: _gathered(tensor, rows, self._buffer(name, tensor, len(rows))).to(self._target, non_blocking=True)
                for name, tensor in self._observations.tensors.items()
            }
            self._copied_from_pinned = self._stream.record_event()
            return Observations(batch), self._copied_from_pinned

    def _buffer(self, name: str, tensor: Tensor, num_rows: int) -> Tensor:
        if (name, num_rows) not in self._pinned:
            self._pinned[name, num_rows] = torch.empty(
                (num_rows, *tensor.shape[1:]), dtype=tensor.dtype, pin_memory=True
            )
        return self._pinned[name, num_rows]


def _gathered(tensor: Tensor, rows: Tensor, buffer: Tensor) -> Tensor:
    """Rows of a tensor in a buffer.

    NumPy takes them on this thread alone, without Python's lock; torch would take all cores from the thread that
    launches the step's kernels. Views over a recording are not of one piece, which NumPy would copy whole first.
    """
    if not tensor.is_contiguous():
        return torch.index_select(tensor, 0, rows, out=buffer)
    np.take(tensor.numpy(), rows.numpy(), axis=0, out=buffer.numpy(), mode="clip")
    return buffer
