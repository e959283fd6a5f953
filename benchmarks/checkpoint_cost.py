"""What checkpoints cost a run: copying, hashing, writing, fsync, reading back; beside plain `torch.save`.

Whole runs of one recipe, each in a process of its own, in turn: without any checkpoint, with jepa's, and with
`torch.save` of the same state at the same steps (which waits, hashes nothing, syncs nothing, verifies nothing). The
last save is waited for. Time is that of training, with validation and diagnostics, without start and verdict:

    wall          on a clock, which other work on the machine disturbs
    processor     user and system time of all threads of the process, which it disturbs less
    held          seconds that training stood still for its saves; on the clock, and within the run itself
    behind        processor seconds of the threads that write

    python benchmarks/checkpoint_cost.py [--recipe quickstart] [--set KEY=VALUE …] [--seeds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

WAYS = ("none", "jepa", "torch.save")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--folder", type=Path, default=None, help="on the disk to measure (default: the temporary folder)"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measured(given)))
        return
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for seed in range(given.seeds):
        for way in WAYS if seed % 2 == 0 else reversed(WAYS):
            runs[way].append(in_own_process(way, seed, given))
            told = runs[way][-1]
            print(f"seed {seed}  {way:<11}{told['wall']:8.2f} s wall{told['processor']:8.2f} s processor", flush=True)
    report = compared(runs)
    print("\n".join(lines_of(report)))
    if given.json:
        given.json.write_text(json.dumps({"runs": runs, "report": report}, indent=1))


def in_own_process(way: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    sets = [word for each in given.overrides for word in ("--set", each)]
    folder = ["--folder", str(given.folder)] if given.folder else []
    command = [sys.executable, __file__, "--recipe", given.recipe, *sets, "--way", way, "--seed", str(seed)]
    done = subprocess.run([*command, *folder, "--device", given.device], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Figures of one run in this process."""
    import io

    import torch
    from rich.console import Console

    from jepa_core.benchmarking.device_rates import machine
    from jepa_core.engine.checkpoint_writing import CheckpointWriting
    from jepa_core.engine.device import choose_compute
    from jepa_core.engine.trainer import Trainer
    from jepa_core.presentation.shown_training import train_and_show
    from jepa_core.recipes.reading import load_recipe
    from jepa_core.recipes.recipe_path import find_recipe
    from jepa_core.registry import installed

    figures: dict[str, Any] = {"way": given.way, "saves": 0, "held": 0.0, "behind": 0.0, "bytes": 0}
    folder = Path(tempfile.mkdtemp(dir=given.folder))

    def save(trainer: Trainer, **_: Any) -> None:
        if given.way == "torch.save":
            path = folder / f"{figures['saves'] % 3}.pt"
            torch.save(trainer.state.read(), path)
            figures["bytes"] = path.stat().st_size
            figures["saves"] += 1

    if given.way == "jepa":
        put(Trainer, "save", counted(Trainer.save, figures, "saves"))
        written = CheckpointWriting._written

        def write(self: CheckpointWriting, *args: Any) -> None:
            before = time.thread_time()
            written(self, *args)
            figures["behind"] += time.thread_time() - before

        put(CheckpointWriting, "_written", write)
    else:
        put(Trainer, "save", save)
    put(Trainer, "save", held(Trainer.save, figures))
    put(Trainer, "settle", held(Trainer.settle, figures))
    put(Trainer, "train", timed(Trainer.train, figures))
    overrides = [*given.overrides, f"train.seed={given.seed}"]
    loaded = load_recipe(find_recipe(given.recipe), overrides=overrides, registry=installed())
    ended = train_and_show(
        Console(file=io.StringIO()),
        loaded,
        device=given.device,
        runs_dir=folder,
        resume=None,
        registry=installed(),
    )
    newest = list(ended.path.rglob("*.safetensors"))
    figures["bytes"] = newest[0].stat().st_size if newest else figures["bytes"]
    return {**figures, "machine": machine(choose_compute(given.device, "auto").device), "kind": ended.ending.kind}


def put(owner: type, name: str, call: Callable[..., Any]) -> None:
    setattr(owner, name, call)


def counted(call: Callable[..., None], figures: dict[str, Any], name: str) -> Callable[..., None]:
    @wraps(call)
    def counting(*args: Any, **more: Any) -> None:
        figures[name] += 1
        call(*args, **more)

    return counting


def held(call: Callable[..., None], figures: dict[str, Any]) -> Callable[..., None]:
    @wraps(call)
    def holding(*args: Any, **more: Any) -> None:
        before = time.perf_counter()
        call(*args, **more)
        figures["held"] += time.perf_counter() - before

    return holding


def timed(call: Callable[..., Any], figures: dict[str, Any]) -> Callable[..., Any]:
    @wraps(call)
    def timing(*args: Any, **more: Any) -> Any:
        wall, processor = time.perf_counter(), processor_seconds()
        ending = call(*args, **more)
        figures["wall"] = time.perf_counter() - wall
        figures["processor"] = processor_seconds() - processor
        return ending

    return timing


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def compared(runs: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Each seed's run with checkpoints less the same seed's without, as shares of the latter."""
    report: dict[str, Any] = {"machine": runs["none"][0]["machine"], "cores": os.cpu_count()}
    for way in ("jepa", "torch.save"):
        pairs = list(zip(runs[way], runs["none"], strict=True))
        report[way] = {
            "saves": runs[way][0]["saves"],
            "bytes": runs[way][0]["bytes"],
            **{
                name: [100 * (run[name] - without[name]) / without[name] for run, without in pairs]
                for name in ("wall", "processor")
            },
            "held": [100 * run["held"] / run["wall"] for run in runs[way]],
            "held_and_behind": [100 * (run["held"] + run["behind"]) / run["wall"] for run in runs[way]],
        }
    return report


def lines_of(report: Mapping[str, Any]) -> list[str]:
    lines = ["", " · ".join(report["machine"].values()) + f" · {report['cores']} cores"]
    for way in ("jepa", "torch.save"):
        found = report[way]
        lines.append(f"\n{way}: {found['saves']} saves of {found['bytes'] / 1e6:.1f} MB, % of a run without")
        for name, what in (
            ("wall", "more wall time"),
            ("processor", "more processor time"),
            ("held", "training held, within the run"),
            ("held_and_behind", "the same and the writing threads"),
        ):
            values = found[name]
            each = ", ".join(f"{value:.2f}" for value in values)
            lines.append(
                f"  {what:<34}{statistics.median(values):7.2f}   ({min(values):.2f} to {max(values):.2f}: {each})"
            )
    ratio = statistics.median(report["jepa"]["held"]) / max(1e-9, statistics.median(report["torch.save"]["held"]))
    return [*lines, f"\ntraining is held {ratio:.2f} times as long as by torch.save"]


if __name__ == "__main__":
    main()
