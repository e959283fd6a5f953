"""Sequences from a JSONL manifest: records with `input` and `output`, or with `frames` of which the last is the target.

`id`, `task` and `rule_trace` are optional; a record without `task` is a task of its own. Knows nothing of how the
records were made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import ClassVar, Literal

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Space
from jepa_core.errors import DataError, RecipeError
from jepa_core.facts import DatasetFacts, Role
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.task_split import TaskSplit, fingerprint
from jepa_plugins.data_path import data_path
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.datasets.manifest_records import Record, read_records
from jepa_plugins.grids.datasets.packing import Grid, pack_grids
from jepa_plugins.grids.space import GridSpace

_PATH_WANTED = """\
data.path is empty: data.kind = "manifest" reads grids from a file of yours.
Give it with --set data.path=FILE.jsonl.gz (or .jsonl), or in the recipe's table [data].
The file has one record per line, {"input": GRID, "output": GRID} or {"frames": [GRID, …, TARGET]}, a grid a list of \
rows of colours 0–9.
It comes from a generator of synthetic ARC-like tasks, or from data of your own. Without a file: data.kind = "traces" \
generates sequences, "arc" has real tasks."""


@attrs.frozen(kw_only=True)
class ManifestConfig:
    """Sequences from a JSONL file (also .gz) of records with input and output, or frames."""

    kind: ClassVar[str] = "manifest"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    space: ClassVar[type[Space]] = GridSpace

    path: str = setting("JSONL file, plain or .gz, one record per line; a run needs one", default="")
    context_length: int = setting("context grids; of longer records the last ones count", default=3, at_least=1)
    short_context: Literal["error", "repeat"] = setting(
        "what to do with records of fewer context grids: refuse them, or repeat their earliest grid",
        default="error",
        choices=("error", "repeat"),
    )
    validation_share: float = setting("share of tasks that validate", default=0.02, above=0, below=1)
    split_seed: int = setting("decides which tasks validate", default=13, at_least=0)
    limit: int | None = setting("take only the first records", default=None, at_least=2, unit="records")

    @classmethod
    def example(cls, folder: Path) -> ManifestConfig:
        """Of twenty records of four grids of various sizes, in ten tasks, written into a folder."""
        generator = torch.Generator().manual_seed(0)

        def drawn_grid() -> list[list[int]]:
            height, width = torch.randint(1, 6, (2,), generator=generator).tolist()
            grid: list[list[int]] = torch.randint(OUTSIDE, (height, width), generator=generator).tolist()
            return grid

        records = [{"frames": [drawn_grid() for _ in range(4)], "task": f"task {number // 2}"} for number in range(20)]
        path = folder / "manifest.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        return cls(path=str(path))

    def build(self, facts: DatasetFacts) -> SequenceDataset:  # noqa: ARG002  # the same data under every run's seed
        """The records as sequences.

        Raises:
            RecipeError: no path is given, or it begins with the home of nobody.
            DataError: an unreadable file, malformed records, or records of too few context grids.
        """
        if not self.path:
            raise RecipeError(_PATH_WANTED)
        path = data_path(self.path)
        records = read_records(path, self.limit)
        short = [record for record in records if len(record.frames) <= self.context_length]
        if short and self.short_context == "error":
            raise DataError(self._too_short(path, short, len(records)))
        task_numbers = _numbered([record.task for record in records])
        observations = self._pack(records)
        split = TaskSplit(share=self.validation_share, seed=self.split_seed)
        train, validation = split.apply(
            observations,
            tasks=torch.tensor([task_numbers[record.task] for record in records]),
            labels=_rule_labels(records),
        )
        return SequenceDataset(
            space=GridSpace(side=int(train.observations["grid"].shape[-1])),
            train=train,
            validation=validation,
            task_names=tuple(task_numbers),
            description=f"{len(records):,} sequences of {path.name}, {len(task_numbers):,} tasks",
            fingerprint=fingerprint(train, validation),
            roles=self._roles(records),
            notes=(self._repeated(len(short), len(records)),) if short else (),
        )

    def _pack(self, records: Sequence[Record]) -> Observations:
        windows = [self._window(record.frames) for record in records]
        side = max(grid.side for window in windows for grid in window)
        grids, sizes = pack_grids(list(chain.from_iterable(windows)), side)
        packed = Observations({"grid": grids, "size": sizes})
        return packed.map(lambda tensor: tensor.unflatten(0, (len(windows), -1)))

    def _window(self, frames: tuple[Grid, ...]) -> tuple[Grid, ...]:
        """T + 1 grids: the last ones, the earliest repeated in front where they do not suffice."""
        num_missing = max(self.context_length + 1 - len(frames), 0)
        return frames[:1] * num_missing + frames[-self.context_length - 1 :]

    def _roles(self, records: Sequence[Record]) -> tuple[Role, ...]:
        """A pair's input, repeated where that was asked for, and its output; frames where any record is a course."""
        given: Role = "input"
        return (*(given,) * self.context_length, "output") if all(record.is_pair for record in records) else ()

    def _too_short(self, path: Path, short: Sequence[Record], num_records: int) -> str:
        longest = max(len(record.frames) for record in short) - 1
        return (
            f"{path}: {len(short):,} of {num_records:,} records have fewer grids before the target than "
            f"data.context_length = {self.context_length}. Set data.context_length = {longest}, or "
            'data.short_context = "repeat" to fill up with copies of the earliest grid, which carry no information.'
        )

    def _repeated(self, num_short: int, num_records: int) -> str:
        return (
            f"{num_short:,} of {num_records:,} records have fewer than {self.context_length} context grids: the "
            "earliest is repeated, so what depends on their order cannot matter there"
        )


def _numbered(names: Sequence[str]) -> dict[str, int]:
    """Distinct names in order of appearance → their index."""
    return {name: index for index, name in enumerate(dict.fromkeys(names))}


def _rule_labels(records: Sequence[Record]) -> dict[str, Tensor]:
    """The label `rule`, when every record has one."""
    rules = [record.rule for record in records if record.rule is not None]
    if len(rules) < len(records):
        return {}
    numbers = _numbered(rules)
    return {"rule": torch.tensor([numbers[rule] for rule in rules])}
