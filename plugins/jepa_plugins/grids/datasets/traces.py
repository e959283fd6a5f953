"""Generated sequences in which order matters: the same grids in another order continue differently.

Each task is a scene of coloured objects and a program that changes it step by step (`trace_programs`). Grids are shown
at indices 0 … T − 1 of the program, in some order; the target is what comes when the last stride is made once more:
after indices a, b comes 2b − a. All sequences of a task show the same context grids, no two of them with the same
target. So neither a bag of grids nor counting equal cells tells which one follows.
"""

from __future__ import annotations

import math
from itertools import permutations
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Space
from jepa_core.facts import DatasetFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.task_split import TaskSplit, fingerprint
from jepa_plugins.grids.datasets.trace_programs import PROGRAM_CLASSES, random_programs, random_scenes
from jepa_plugins.grids.datasets.trace_scenes import draw, num_shapes
from jepa_plugins.grids.space import GridSpace

_TASKS_AT_ONCE = 2048
"""Bounds the memory of generating."""


@attrs.frozen(kw_only=True)
class TracesConfig:
    """Generated sequences: programs of several steps over coloured objects, where the order of grids matters."""

    kind: ClassVar[str] = "traces"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    space: ClassVar[type[Space]] = GridSpace

    num_sequences: int = setting("sequences in both splits together", default=50_000, at_least=12)
    seed: int = setting("decides scenes, programs and the split; the run's seed does not", default=0, at_least=0)
    context_length: int = setting("context grids", default=3, at_least=2, at_most=6)
    side: int = setting("height and width of the grids", default=12, at_least=8, at_most=30, unit="cells")
    max_objects: int = setting("objects in a scene, at most", default=4, at_least=2, at_most=16)
    orders: int = setting(
        "sequences of a task: orders of the same context grids, at most", default=6, at_least=1, at_most=6
    )
    validation_share: float = setting("share of tasks that validate", default=0.02, above=0, below=1)

    def num_bytes(self) -> int:
        """Of all grids, a byte a cell."""
        return self.num_sequences * (self.context_length + 1) * self.side**2

    def build(self, facts: DatasetFacts) -> SequenceDataset:  # noqa: ARG002  # the same data under every run's seed
        """The same grids for the same settings, under one version of torch."""
        generator = torch.Generator().manual_seed(self.seed)
        orders = _Orders.of(self.context_length)
        num_orders = min(self.orders, orders.num_targets)
        num_tasks = math.ceil(self.num_sequences / num_orders)
        orbits, classes = self._orbits(num_tasks, generator)
        positions = orders.draw(num_tasks, num_orders, generator) + self._first_index
        grids = orbits[torch.arange(num_tasks)[:, None, None], positions].flatten(0, 1)
        train, validation = TaskSplit(share=self.validation_share, seed=self.seed).apply(
            Observations(
                {
                    "grid": grids[: self.num_sequences],
                    "size": torch.full((self.num_sequences, self.context_length + 1, 2), self.side),
                }
            ),
            tasks=torch.arange(num_tasks).repeat_interleave(num_orders)[: self.num_sequences],
            labels={"rule": classes.repeat_interleave(num_orders)[: self.num_sequences]},
        )
        return SequenceDataset(
            space=GridSpace(side=self.side),
            train=train,
            validation=validation,
            task_names=tuple(f"{number}: {PROGRAM_CLASSES[c].name}" for number, c in enumerate(classes.tolist())),
            description=f"{self.num_sequences:,} traces, {num_tasks:,} tasks of {num_orders} orders each",
            fingerprint=fingerprint(train, validation),
        )

    @property
    def _first_index(self) -> int:
        """How far an order can lead back before index 0: 2 · 0 − (T − 1)."""
        return self.context_length - 1

    def _orbits(self, num_tasks: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Every grid that an order can lead to, (F, 3T − 2, side, side), all different within a task; and (F,) classes.

        Scenes that come back to a grid within their orbit are drawn anew.
        """
        indices = torch.arange(-self._first_index, 2 * self.context_length - 1)
        kept: list[tuple[Tensor, Tensor]] = []
        while sum(len(classes) for _, classes in kept) < num_tasks:
            scenes = random_scenes(_TASKS_AT_ONCE, self.max_objects, self.side, num_shapes(), generator)
            programs = random_programs(_TASKS_AT_ONCE, self.max_objects, generator)
            orbits = draw(programs.run(scenes, indices, self.side), self.side)
            distinct = _all_different(orbits)
            kept.append((orbits[distinct], programs.classes[distinct]))
        orbits, classes = (torch.cat(parts)[:num_tasks] for parts in zip(*kept, strict=True))
        return orbits, classes


@attrs.frozen
class _Orders:
    """The orders of indices 0 … T − 1, each followed by the index it leads to."""

    frames: Tensor
    """(P, T+1) int64, sorted by the last column, the target."""
    first: Tensor
    """(targets,) int64: where in `frames` the orders leading to each target begin."""
    count: Tensor
    """(targets,) int64: how many lead there."""

    @classmethod
    def of(cls, context_length: int) -> _Orders:
        orders = torch.tensor(list(permutations(range(context_length))))
        targets = 2 * orders[:, -1] - orders[:, -2]
        by_target = targets.argsort(stable=True)
        count = targets.unique(return_counts=True)[1]
        return cls(torch.cat([orders, targets[:, None]], dim=1)[by_target], count.cumsum(0) - count, count)

    @property
    def num_targets(self) -> int:
        return len(self.count)

    def draw(self, num_tasks: int, num_orders: int, generator: torch.Generator) -> Tensor:
        """(F, num_orders, T+1): for each task orders that lead to different targets."""
        targets = torch.rand(num_tasks, self.num_targets, generator=generator).argsort(dim=1)[:, :num_orders]
        choice = torch.rand(num_tasks, num_orders, generator=generator) * self.count[targets]
        return self.frames[self.first[targets] + choice.long()]


def _all_different(orbits: Tensor) -> Tensor:
    """(F, I, side, side) to (F,) bool: no two of the I grids are equal."""
    cells = orbits.flatten(2)
    equal = torch.stack([(cells == cells.roll(shift, dims=1)).all(-1).any(-1) for shift in range(1, cells.shape[1])])
    return ~equal.any(0)
