"""Trainers for tests: on generated data, on the CPU, with a record that keeps what it is told."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, cast

import torch

from jepa_core.contracts import ALONE, Crew, SequenceDataset
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.engine.device import Compute
from jepa_core.engine.ending import Ending
from jepa_core.engine.interruption import Interruption
from jepa_core.engine.trainer import Trainer
from jepa_core.facts import DatasetFacts
from jepa_core.recipes.declared_metrics import declared_metrics
from jepa_core.recipes.tables import Precision, Recipe
from jepa_core.run_directory.bad_batches import BadBatch, write_bad_batch
from jepa_core.watch.decision import Decision
from jepa_core.watch.findings import Severity
from jepa_core.watch.judge import Judge
from jepa_core.watch.rules import Watch

CPU = torch.device("cpu")

RecipeMaker = Callable[..., Recipe]
"""The fixture `tiny_recipe`."""

RARE = ("diagnostics.every_steps=1000", "checkpoint.every_epochs=1000", "diagnostics.validate_every_epochs=1000")
"""Overrides that leave diagnostics, checkpoints and validation for the last step."""


class KeptRecord:
    """What a trainer told. It judges as a run does once it has a judge."""

    def __init__(self) -> None:
        self.judge = Judge(Watch())
        self.rows: list[dict[str, float]] = []
        self.events: list[tuple[str, Severity, str]] = []
        self.advice: list[str] = []
        self.evidence: list[Mapping[str, Any]] = []
        self.run: Path | None = None
        """Where batches are kept."""
        self.after_heartbeat: Callable[[int], None] = lambda _: None

    @property
    def decision(self) -> Decision:
        return self.judge.decision

    @property
    def healthy_before(self) -> tuple[float, ...]:
        return self.judge.healthy_before

    def taken_back(self, step: int, *, after_row: bool) -> str | None:
        return None

    def row(self, row: Mapping[str, float]) -> None:
        self.rows.append(dict(row))
        self.judge.observe(row)

    def rank_row(self, row: Mapping[str, float]) -> None:
        """There is one rank."""

    def diagnosis(self, row: Mapping[str, Any]) -> None:
        pass

    def event(
        self,
        name: str,
        severity: Severity,
        message: str,
        *,
        step: int,
        evidence: Mapping[str, Any] | None = None,
        advice: str = "",
        notice: bool = False,
    ) -> None:
        self.events.append((name, severity, message))
        self.advice.append(advice)
        self.evidence.append(evidence or {})

    def keep_batch(self, batch: BadBatch, tensors: bytes) -> str | None:
        return None if self.run is None else write_bad_batch(self.run, batch, tensors)

    def heartbeat(self, step: int, epoch: float) -> None:
        self.after_heartbeat(step)

    def named(self, name: str) -> list[str]:
        """Messages of the events of that name."""
        return [message for found, _, message in self.events if found == name]


@functools.cache
def dataset_of(config: Hashable, seed: int) -> SequenceDataset:
    """What a dataset's configuration builds, once for all tests."""
    dataset: SequenceDataset = config.build(DatasetFacts(seed=seed))  # type: ignore[attr-defined]  # it is one
    return dataset


def a_trainer(
    recipe: Recipe,
    folder: Path,
    *,
    record: KeptRecord | None = None,
    precision: Precision = "fp32",
    device: torch.device = CPU,
    crew: Crew = ALONE,
) -> Trainer:
    """A trainer that has not begun; checkpoints go to `folder`."""
    record = record or KeptRecord()
    record.judge = Judge(recipe.watch, declared_metrics(recipe))
    return Trainer(
        recipe,
        dataset_of(cast(Hashable, recipe.data), recipe.train.seed),
        Compute(device, precision),
        CheckpointFolder(folder, keep=100),
        record,
        crew=crew,
    )


def take_steps(trainer: Trainer, count: int) -> Trainer:
    """The first `count` steps, without rows."""
    trainer.initialise()
    for step in range(count):
        trainer.step(step)
    trainer.steps_done = count
    return trainer


def train(trainer: Trainer) -> Ending:
    """To the end, with nobody to interrupt it."""
    return trainer.train(Interruption())


def snapshot(trainer: Trainer, *without: str) -> dict[str, Any]:
    """A copy of all state, but for the entries left out."""
    return {name: copy.deepcopy(state) for name, state in trainer.state.read().items() if name not in without}


def lasting(row: Mapping[str, float]) -> dict[str, float]:
    """A row without what the clock decides."""
    return {name: value for name, value in row.items() if not name.startswith(("time.", "throughput."))}
