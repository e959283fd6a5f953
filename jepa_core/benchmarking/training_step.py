"""Time and memory of a recipe's training step, as the trainer takes it.

Data, augmentation, views, losses, clip, optimizer, averages, codebook and queue are in it; rows, diagnostics,
validation and checkpoints are not.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import torch

from jepa_core.benchmarking.matrix_products import MatrixProducts
from jepa_core.benchmarking.results import MS, Rates, Result, Row
from jepa_core.benchmarking.timing import wait_for
from jepa_core.contracts import SequenceDataset
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.engine.device import Compute
from jepa_core.engine.trainer import Trainer
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.decision import Decision

LAUNCHED = "launched"
_LEFT_OUT = "left out: on a CPU --set train.compile=true times it, without --quick"
FEW_SEQUENCES = 16
"""Of a step under --quick."""
_MOVED = 10
"""Times that a step has to move a weight's four bytes: gradient, weight, both moments and average, read and written."""


@attrs.frozen(kw_only=True)
class Effort:
    """How many steps are taken."""

    warm_up: int
    rounds: int
    steps: int
    """Of a round, whose mean counts once in the median."""
    seconds: float = 60.0
    """No further round is begun after that long."""

    @staticmethod
    def of(device: torch.device, *, is_quick: bool) -> Effort:
        """On CUDA the warm-up is long enough for a step to be captured."""
        if device.type == "cuda":
            return Effort(warm_up=15, rounds=1, steps=5) if is_quick else Effort(warm_up=20, rounds=5, steps=10)
        return Effort(warm_up=1, rounds=1 if is_quick else 5, steps=1, seconds=5.0)


@attrs.frozen(kw_only=True)
class StepFigures:
    """What a step takes."""

    ms: float
    peak_mib: float | None
    """All memory of the device, data and weights included; None on a CPU."""
    first_s: float
    """Seconds of the first step."""
    not_replayed: str
    """Why it is launched kernel by kernel where it was to be replayed."""
    not_compiled: str
    """Why it is as it was written where it was to be compiled."""


class Nobody:
    """A record that keeps nothing."""

    decision = Decision()
    healthy_before: tuple[float, ...] = ()

    def taken_back(self, step: int, *, after_row: bool) -> None:
        """Never."""

    def row(self, row: Mapping[str, float]) -> None:
        """Forgotten."""

    def rank_row(self, row: Mapping[str, float]) -> None:
        """There is one rank."""

    def diagnosis(self, row: Mapping[str, Any]) -> None:
        """Forgotten."""

    def event(self, *told: Any, **more: Any) -> None:
        """Forgotten."""

    def keep_batch(self, *told: Any) -> None:
        """Never."""

    def heartbeat(self, step: int, epoch: float) -> None:
        """Forgotten."""


def timed_step(recipe: Recipe, dataset: SequenceDataset, compute: Compute, effort: Effort) -> StepFigures:
    """Train from the start for a moment.

    Raises:
        torch.OutOfMemoryError: the step does not fit the device.
        RecipeError: there are fewer sequences than a batch has.
    """
    device = compute.device
    with _trainer(recipe, dataset, compute) as trainer:
        first_s = _seconds(trainer, range(1), device)
        _seconds(trainer, range(1, effort.warm_up), device)
        rounds: list[float] = []
        next_step, end = effort.warm_up, time.perf_counter() + effort.seconds
        while len(rounds) < effort.rounds and (len(rounds) < 2 or time.perf_counter() < end):
            steps = range(next_step, next_step := next_step + effort.steps)
            rounds.append(_seconds(trainer, steps, device) / effort.steps)
        peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
        return StepFigures(
            ms=MS * statistics.median(rounds),
            peak_mib=peak,
            first_s=first_s,
            not_replayed=trainer.step.not_replayed,
            not_compiled=trainer.step.not_compiled,
        )


def measured_step(
    recipe: Recipe,
    dataset: SequenceDataset,
    compute: Compute,
    rates: Rates,
    *,
    is_quick: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Result:
    """A step launched, on CUDA replayed, and compiled, beside the floor of its matrix products and weights.

    A loss of weight 0 is left out whole, with its views.
    """
    recipe = timed_recipe(recipe, is_quick=is_quick)
    effort = Effort.of(compute.device, is_quick=is_quick)
    sequences = recipe.train.batch_size * recipe.train.accumulate
    rows = []
    for way, train in _ways(recipe, compute).items():
        tell(f"step · {recipe.name} · {way}")
        if train.compile and (is_quick or (compute.device.type == "cpu" and recipe.train.compile is not True)):
            rows.append(Row(way=way, note=_LEFT_OUT))
        else:
            rows.append(_row(way, attrs.evolve(recipe, train=train), dataset, compute, effort))
    tell(f"step · {recipe.name} · its matrix products, each alone")
    return Result(
        part="step",
        case=f"{recipe.name}, {sequences:,} sequences a step, {compute.precision}",
        unit="sequences",
        yardstick=LAUNCHED,
        rows=tuple(rows),
        floor_ms=None if rows[0].ms is None else _floor_ms(recipe, dataset, compute, rates, is_quick=is_quick),
        floor="the step's matrix products, each timed alone, and weights, moments and averages moved once",
    ).related()


def timed_recipe(recipe: Recipe, *, is_quick: bool = False) -> Recipe:
    """What is trained: without losses of weight 0; under --quick a step of few sequences."""
    train = recipe.train
    if is_quick:
        train = attrs.evolve(train, batch_size=min(FEW_SEQUENCES, train.batch_size), accumulate=1)
    return attrs.evolve(
        recipe, train=train, losses={name: entry for name, entry in recipe.losses.items() if entry.weight}
    )


def _ways(recipe: Recipe, compute: Compute) -> dict[str, Any]:
    """Name → table `train`."""
    launched = attrs.evolve(recipe.train, replay=False, compile=False)
    ways = {LAUNCHED: launched}
    if compute.device.type == "cuda":
        ways["replayed"] = attrs.evolve(launched, replay=True)
    ways["compiled"] = attrs.evolve(launched, compile=True)
    if compute.device.type == "cuda":
        ways["compiled, replayed"] = attrs.evolve(launched, replay=True, compile=True)
    return ways


def _row(way: str, recipe: Recipe, dataset: SequenceDataset, compute: Compute, effort: Effort) -> Row:
    try:
        torch.compiler.reset()
        found = timed_step(recipe, dataset, compute, effort)
    except torch.OutOfMemoryError:
        return Row(way=way, note="out of memory")
    if found.not_compiled:
        return Row(way=way, note=f"cannot be compiled: {found.not_compiled}")
    sequences = recipe.train.batch_size * recipe.train.accumulate
    return Row(
        way=way,
        ms=found.ms,
        per_second=sequences / found.ms * MS,
        peak_mib=found.peak_mib,
        first_s=found.first_s if recipe.train.compile else None,
        note=f"launched after all: {found.not_replayed}" if found.not_replayed else "",
    )


def _floor_ms(
    recipe: Recipe, dataset: SequenceDataset, compute: Compute, rates: Rates, *, is_quick: bool
) -> float | None:
    launched = attrs.evolve(recipe, train=_ways(recipe, compute)[LAUNCHED])
    with _trainer(launched, dataset, compute) as trainer:
        products = MatrixProducts()
        with products:
            trainer.step(0)
        weights: int = sum(parameter.numel() for parameter in trainer.step.parameters.values())
    moved = rates.least_ms(0.0, _MOVED * 4 * weights) or 0.0
    return products.ms_alone(compute.device, is_quick=is_quick) + moved


@contextmanager
def _trainer(recipe: Recipe, dataset: SequenceDataset, compute: Compute) -> Iterator[Trainer]:
    """One at its start, on a device whose memory the one before has left."""
    gc.collect()
    if compute.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(compute.device)
    recipe = attrs.evolve(recipe, train=attrs.evolve(recipe.train, non_finite="skip"))
    with tempfile.TemporaryDirectory(prefix="jepa-bench-") as folder:
        trainer = Trainer(recipe, dataset, compute, CheckpointFolder(Path(folder), keep=2), Nobody())
        try:
            trainer.initialise()
            yield trainer
        finally:
            trainer.step.replay.stop()


def _seconds(trainer: Trainer, steps: range, device: torch.device) -> float:
    """Of all these steps."""
    wait_for(device)
    begun = time.perf_counter()
    for step in steps:
        trainer.step(step)
    wait_for(device)
    return time.perf_counter() - begun
