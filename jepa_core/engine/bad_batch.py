"""Keeping the batch in which something was not finite. It never fails a run, and keeps only the first few."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import safetensors.torch
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset
from jepa_core.engine.step import TrainingStep
from jepa_core.errors import DataError
from jepa_core.plain_files import read_plain
from jepa_core.run_directory.bad_batches import MOST_BATCHES, MOST_BYTES, BadBatch

_MOST_TASKS = 1000
_LONGEST_TASK = 200

Write = Callable[[BadBatch, bytes], str | None]
"""Puts a batch into the run directory, and says under which path below it."""


class BatchKeeper:
    """Keeps this rank's part of the batches of some steps."""

    def __init__(self, training: TrainingStep, dataset: SequenceDataset, write: Write) -> None:
        self._training, self._dataset, self._write = training, dataset, write
        self._left = MOST_BATCHES

    @property
    def is_full(self) -> bool:
        """Whether no more are kept."""
        return self._left <= 0

    def keep(self, step: int, cause: str, *, micro: int | None = None, positions: tuple[int, ...] = ()) -> str | None:
        """Keep the batch of a step, counted from 0; where it lies below the run directory. None where it could not be
        kept, for whatever reason: a run ends, or goes on, for others.

        Args:
            step: whose batch.
            cause: the first tensor that was not finite, in words.
            micro: the micro-batch in which it was.
            positions: places within this rank's part of it that alone gave values that are not finite.
        """
        if self.is_full:
            return None
        self._left -= 1
        try:
            batch = self._described(step, cause, micro, positions)
            micros = range(len(batch.sequences)) if micro is None else [micro]
            return self._write(batch, self._tensors(step, micros))
        except Exception:
            return None

    def _described(self, step: int, cause: str, micro: int | None, positions: tuple[int, ...]) -> BadBatch:
        training = self._training
        train, crew, course = training.recipe.train, training.crew, training.course
        sequences = []
        for each in range(train.accumulate):
            rows = training.batches.rows(course.at(step, each))
            sequences.append(tuple(rows[crew.mine(len(rows))].tolist()))
        at_fault = tuple(sequences[micro][position] for position in positions) if micro is not None else ()
        shown = at_fault or (sequences[micro] if micro is not None else [row for rows in sequences for row in rows])
        names, tasks = self._dataset.task_names, self._dataset.train.tasks
        of_rows = dict.fromkeys(names[int(tasks[row])][:_LONGEST_TASK] for row in shown)
        return BadBatch(
            step=step + 1,
            epoch=course.epoch(step + 1),
            rank=crew.rank,
            ranks=crew.size,
            seed=train.seed,
            cause=cause,
            micro=micro,
            sequences=tuple(sequences),
            at_fault=at_fault,
            tasks=tuple(of_rows)[:_MOST_TASKS],
        )

    def _tensors(self, step: int, micros: range | list[int]) -> bytes:
        """As the network was given them, augmented; those of micro-batches as far as there is room."""
        kept: dict[str, Tensor] = {}
        room = MOST_BYTES - (1 << 20)  # names and shapes need some
        for micro in micros:
            batch, views = self._training.draw(step, micro)
            named = {f"micro-{micro}/batch/{name}": tensor for name, tensor in batch.tensors.items()}
            for view, observations in views.items():
                named |= {f"micro-{micro}/view/{view}/{name}": each for name, each in observations.tensors.items()}
            room -= sum(math.prod(tensor.shape) * tensor.element_size() for tensor in named.values())
            if room < 0:
                break
            kept |= {name: tensor.detach().cpu().contiguous().clone() for name, tensor in named.items()}
        return safetensors.torch.save(kept) if kept else b""


def load_bad_batch(batch: BadBatch, micro: int) -> tuple[Observations, Mapping[str, Observations]]:
    """A micro-batch and its views, on the CPU, as the network was given them.

    Raises:
        DataError: it was not kept, or is damaged.
    """
    path = batch.tensors_path
    if path is None:
        raise DataError(f"The tensors of the batch of step {batch.step} were not kept: there were too many.")
    try:
        tensors = safetensors.torch.load(read_plain(path, MOST_BYTES, follow_links=False))
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise DataError(f"{path} cannot be read: {error}. It is damaged.") from error
    own = {name.split("/", 1)[1]: tensor for name, tensor in tensors.items() if name.startswith(f"micro-{micro}/")}
    views: dict[str, dict[str, Tensor]] = {}
    for name, tensor in own.items():
        if name.startswith("view/"):
            view, _, key = name.removeprefix("view/").rpartition("/")
            views.setdefault(view, {})[key] = tensor
    whole = {name.removeprefix("batch/"): tensor for name, tensor in own.items() if name.startswith("batch/")}
    return Observations(whole), {name: Observations(each) for name, each in views.items()}
