"""What a dataset builds: sequences of observations with their tasks and labels, split for training and validation.

Shapes: S sequences in a split, T observations of context; "…" stands for what one observation of a space is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from jepa_core.facts import Role, frames
from jepa_core.observations import Observations
from jepa_core.spaces import Space


@dataclass(frozen=True, kw_only=True, repr=False)
class Sequences:
    """One split of a dataset: S sequences of T observations of context and the target, in order."""

    observations: Observations
    """(S, T+1, …), of the dataset's space."""
    tasks: Tensor
    """(S,) int64: index into the dataset's `task_names`."""
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    """What probes ask embeddings for, by name, such as `rule`: (S,) int64 are classes, (S,) float32 or float64 numbers.

    Never trained on."""

    def __len__(self) -> int:
        return len(self.observations)

    def __repr__(self) -> str:
        tensors = {**self.observations.tensors, "tasks": self.tasks}
        tensors |= {f"labels.{name}": values for name, values in self.labels.items()}
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        return f"<Sequences {shapes}>"

    @property
    def num_places(self) -> int:
        """T + 1."""
        return int(next(iter(self.observations.tensors.values())).shape[1])

    def rows(self, chosen: Tensor | slice) -> Sequences:
        """Some of the sequences."""
        return Sequences(
            observations=self.observations[chosen],
            tasks=self.tasks[chosen],
            labels={name: labels[chosen] for name, labels in self.labels.items()},
        )

    def to(self, device: torch.device) -> Sequences:
        return Sequences(
            observations=self.observations.to(device),
            tasks=self.tasks.to(device),
            labels={name: labels.to(device) for name, labels in self.labels.items()},
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class SequenceDataset:
    """What a dataset configuration builds. No task is in both splits."""

    space: Space
    """What its observations are."""
    train: Sequences
    validation: Sequences
    task_names: tuple[str, ...]
    description: str
    """A few words for the run's first line, such as "400 ARC-AGI-1 tasks, 3,021 sequences"."""
    fingerprint: str
    """SHA-256 over observations and split: equal for equal data."""
    roles: tuple[Role, ...] = ()
    """What each of the T + 1 places of a sequence holds; empty where all are frames of one course."""
    notes: tuple[str, ...] = ()
    """What the user should know: tasks left out and why, and so on."""

    def __repr__(self) -> str:
        return (
            f"<SequenceDataset {self.description}: {len(self.train):,} training and "
            f"{len(self.validation):,} validation sequences of {self.space.describe()}>"
        )

    def places(self) -> tuple[Role, ...]:
        """The role of each of the T + 1 places."""
        return self.roles or frames(self.train.num_places)
