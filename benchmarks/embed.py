"""Embedding a run's data to a file, beside the same encoder in a plain loop over the same observations.

Needs a run with a checkpoint. The loop encodes context and target, and keeps nothing; `jepa embed` also quantizes,
aggregates, predicts, copies to the host and writes state, prediction and target of every sequence.

    python benchmarks/embed.py RUN [--set KEY=VALUE …] [--device cuda] [--quick]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch

from jepa_core.contracts import Observations
from jepa_core.engine.checkpoint_embedding import embed_run
from jepa_core.engine.opened_run import OpenedRun, open_run
from jepa_core.registry import installed

ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="one round")
    given = parser.parse_args()
    started = time.perf_counter()
    opened = open_run(given.run, overrides=given.overrides, step="", device=given.device, registry=installed())
    loaded = time.perf_counter()
    dataset = opened.dataset()
    built = time.perf_counter()
    splits = [dataset.train.observations, dataset.validation.observations]
    total = sum(map(len, splits))
    print(f"{opened.reader.name} · {total:,} sequences · {opened.compute.describe()} · torch {torch.__version__}")
    print(f"weights loaded in {loaded - started:.2f} s, data built in {built - loaded:.2f} s")
    loops, files = [], []
    for _ in range(1 if given.quick else ROUNDS):
        loops.append(_encoder_alone(opened, splits))
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            embed_run(opened, Path(folder) / "all.npz")
            files.append(time.perf_counter() - begun - (built - loaded))
    loop, file = statistics.median(loops), statistics.median(files)
    print(f"{'encoder alone':32}{loop:>8.2f} s{total / loop:>12,.0f} sequences/s")
    print(f"{'jepa embed, less building data':32}{file:>8.2f} s{total / file:>12,.0f} sequences/s")
    print(f"share of the encoder's own speed {100 * loop / file:.0f} %")
    print(f"most memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB", end="")
    on_gpu = opened.compute.device.type == "cuda"
    print(f", of the GPU {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB" if on_gpu else "")


def _encoder_alone(opened: OpenedRun, splits: list[Observations]) -> float:
    online, device = opened.model.objective.online, opened.compute.device
    begun = time.perf_counter()
    with torch.no_grad(), opened.compute.autocast():
        for observations in splits:
            for batch in observations.split(opened.recipe.train.batch_size):
                online.encode(batch.to(device).flatten())
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
