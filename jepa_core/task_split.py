"""Splitting sequences by task, so that no task is on both sides; and the fingerprint of the result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from jepa_core.errors import DataError
from jepa_core.observations import Observations
from jepa_core.sequences import Sequences


def num_validating(num_tasks: int, share: float) -> int:
    """How many of so many tasks validate."""
    return min(max(round(num_tasks * share), 1), num_tasks - 1)


def is_split_by(share: float, train: Sequences, validation: Sequences) -> bool:
    """Whether so much of all tasks validates; not where the data say themselves which do."""
    num_train, num_validation = (len(split.tasks.unique()) for split in (train, validation))
    return num_validation == num_validating(num_train + num_validation, share)


@attrs.frozen(kw_only=True)
class TaskSplit:
    """How much of the data validates, and which."""

    share: float
    """Share of tasks that validate; at least one does, and at least one trains."""
    seed: int

    def validates(self, num_tasks: int) -> Tensor:
        """(num_tasks,) bool: which tasks are for validation."""
        if num_tasks < 2:
            raise DataError(
                f"The data holds {num_tasks} task, and at least 2 are needed, 1 to train and 1 to validate: no task is "
                "on both sides. Give sequences of more tasks."
            )
        num_validation = num_validating(num_tasks, self.share)
        order = torch.randperm(num_tasks, generator=torch.Generator().manual_seed(self.seed))
        chosen = torch.zeros(num_tasks, dtype=torch.bool)
        # The last ones, as random_split takes them: published figures on such splits stay comparable.
        chosen[order[-num_validation:]] = True
        return chosen

    def apply(
        self, observations: Observations, tasks: Tensor, labels: Mapping[str, Tensor]
    ) -> tuple[Sequences, Sequences]:
        """Training and validation sequences of observations (S, T+1, …), each in their order in the data.

        Raises:
            DataError: there is a single task.
        """
        validates = self.validates(int(tasks.max()) + 1)[tasks]
        sequences = Sequences(observations=observations, tasks=tasks, labels=labels)
        return sequences.rows(~validates), sequences.rows(validates)


def fingerprint(train: Sequences, validation: Sequences) -> str:
    """SHA-256 over shapes, observations and tasks of both splits."""
    digest = hashlib.sha256()
    for sequences in (train, validation):
        tensors = list(sequences.observations.tensors.values())
        digest.update(str(tuple(tensors[0].shape)).encode())
        for tensor in (*tensors, sequences.tasks):
            digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
