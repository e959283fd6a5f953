"""Time of a recipe's training step as the trainer takes it: launched kernel by kernel, and replayed on CUDA.

Data, augmentation, views, losses, clip, optimizer, averages, codebook and queue are in it; rows, diagnostics,
validation and checkpoints are not.

    python benchmarks/step.py recipes/seed_pairs.toml --set data.path=grid-pairs-50k.jsonl.gz --set train.batch_size=512
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.device import choose_compute, set_numerics
from jepa_core.engine.trainer import Trainer
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from jepa_core.watch.decision import Decision

WARM_UP = 20
ROUNDS = 5


class Nobody:
    """A record that keeps nothing."""

    decision = Decision()
    healthy_before: tuple[float, ...] = ()

    def taken_back(self, step: int, *, after_row: bool) -> None:  # noqa: ARG002
        return None

    def row(self, row: Mapping[str, float]) -> None: ...

    def diagnosis(self, row: Mapping[str, Any]) -> None: ...

    def event(self, *told: Any, **more: Any) -> None: ...

    def heartbeat(self, step: int, epoch: float) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=10, help="of each of the five rounds")
    given = parser.parse_args()
    recipe = load_recipe(given.recipe, overrides=given.overrides, registry=installed()).recipe
    compute = choose_compute(given.device, recipe.train.precision)
    set_numerics(deterministic=recipe.train.deterministic, tf32=recipe.train.tf32)
    dataset = built_dataset(recipe)
    samples = recipe.train.batch_size * recipe.train.accumulate
    print(f"{recipe.name} · {samples} sequences a step · {compute.describe()} · torch {torch.__version__}")
    on_cuda = compute.device.type == "cuda"
    times: list[float] = []
    for replay in (False, True) if on_cuda else (False,):
        chosen = attrs.evolve(recipe, train=attrs.evolve(recipe.train, replay=replay))
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(chosen, dataset, compute, CheckpointFolder(Path(folder), keep=1), Nobody())
            trainer.initialise()
            times.append(_milliseconds(trainer, given.steps, on_cuda=on_cuda))
        name = ("launched", "replayed")[replay and trainer.step.replay.is_on]
        memory = f"{torch.cuda.max_memory_allocated() / 2**30:>8.1f} GiB" if on_cuda else ""
        print(f"{name:12}{times[-1]:>9.2f} ms{samples / times[-1] * 1e3:>12,.0f} sequences/s{memory}", end="")
        print(f"{times[0] / times[-1]:>8.2f} ×  {trainer.step.not_replayed}".rstrip())


def _milliseconds(trainer: Trainer, num_steps: int, *, on_cuda: bool) -> float:
    """Median over rounds of the mean time of a step."""
    rounds = []
    for number in range(ROUNDS + 1):
        begun = time.perf_counter()
        first, count = (0, WARM_UP) if not number else (WARM_UP + (number - 1) * num_steps, num_steps)
        for step in range(first, first + count):
            trainer.step(step)
        if on_cuda:
            torch.cuda.synchronize()
        rounds.append((time.perf_counter() - begun) / count * 1e3)
    return statistics.median(rounds[1:])


if __name__ == "__main__":
    main()
