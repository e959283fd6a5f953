"""A training step on several ranks beside the same on one process, in one run: time, and what is communicated.

Weak scaling: every rank has as many sequences as the one process. Strong: all ranks have as many together. The step is
the trainer's own (data, augmentation, views, losses, gradients, clip, optimizer, averages, codebook and queue, and the
words that ranks say to each other between steps), launched kernel by kernel, as steps of several ranks are. On CUDA the
one process is timed replayed as a CUDA graph, too, which is its default. Its time is rank 0's, while the others wait.

Bytes are those that a rank hands to collectives in one step: by formula, and counted as torch dispatches them.

    python benchmarks/ranks.py --ranks 2
    python benchmarks/ranks.py --ranks 8 --batch-per-rank 512 --set losses.invariance.weight=0 --json ranks.json
    torchrun --nnodes=2 --nproc-per-node=8 --rdzv-backend=c10d --rdzv-endpoint=HOST:29400 benchmarks/ranks.py
    python benchmarks/ranks.py --ranks 64 --formula          (bytes alone: no rank is started, no step taken)
    python benchmarks/ranks.py --ranks 2 --tiny --device cpu (a rehearsal: its times say nothing)
"""

# ruff: noqa: E402

from __future__ import annotations

# Before torch is imported, which reads it then.
from jepa_core.cli import prepare_torch

prepare_torch()

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import torch
from collectives import Counted, NoFormulaError, Sent, Sizes, by_formula, by_kind, on_a_ring

from jepa_core.benchmarking.device_rates import machine
from jepa_core.benchmarking.results import MS
from jepa_core.benchmarking.table import memory_text, time_text
from jepa_core.benchmarking.timing import Timing, timed, wait_for
from jepa_core.benchmarking.training_step import Effort, Nobody, timed_recipe
from jepa_core.contracts import ALONE, Crew, SequenceDataset
from jepa_core.engine.agreement import Word, agreed
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.device import Compute, choose_compute, set_numerics
from jepa_core.engine.output_files import appearing_whole
from jepa_core.engine.parallel import device_of_rank, joined_crew
from jepa_core.engine.trainer import Trainer
from jepa_core.errors import JepaError
from jepa_core.launching import is_rank, leads, require_shares
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed

RECIPE = Path(__file__).with_name("reference_step.toml")
TRAINING_SHARE = 0.9
"""At least of the sequences that a dataset makes, the rest being for validation."""
TINY = (
    "encoder.dim=32", "encoder.heads=4", "encoder.layers=1", "projector.dim=16", "quantizer.codes=24",
    "quantizer.revive_at_most=12", "losses.info_nce.queue=32", "losses.sigreg.slices=32",
)  # fmt: skip
"""What `--tiny` makes of the reference recipe."""
TINY_BATCH = 8


@attrs.frozen(kw_only=True)
class Case:
    """One way to take the step."""

    name: str
    ranks: int
    batch: int
    """Sequences of a step, of all ranks together."""
    replay: bool = False


@attrs.frozen(kw_only=True)
class Measured:
    """What a case came to."""

    name: str
    ranks: int
    batch: int
    ms: float
    """The slowest rank's, median of rounds."""
    peak_mib: float | None
    """All memory of rank 0's device; None on a CPU."""
    augmentation_ms: float
    """Augmentation and views of the whole batch, which each rank makes."""
    not_replayed: str
    formula: dict[str, int] | None
    """Kind → bytes that a rank hands over in a step; None where a component has no formula."""
    counted: dict[str, int]
    calls: int
    sent: list[Sent]
    """Everything that was counted, in its order."""

    @property
    def rate(self) -> float:
        """Sequences per second, of all ranks."""
        return self.batch / self.ms * MS


def main() -> int:
    given = _parser().parse_args()
    try:
        if given.formula:
            print("\n".join(_formula_lines(given)))
        elif given.ranks > 1 and not is_rank():
            return _started(given.ranks)
        else:
            _measure(given)
    except JepaError as error:
        if leads():
            print(f"ranks: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2, help="under torchrun it is torchrun's (default: 2)")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="default: the step that speed is measured on")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the recipe")
    parser.add_argument("--batch-per-rank", type=int, help="default: 4096")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--formula", action="store_true", help="only the bytes, by formula and by cause")
    parser.add_argument("--tiny", action="store_true", help="sizes that a CPU is done with in seconds, for a rehearsal")
    return parser


def _started(ranks: int) -> int:
    """Start this command again on each rank."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    environment = dict(os.environ)
    environment.setdefault("OMP_NUM_THREADS", str(max(1, cores // ranks)))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return subprocess.run([*torchrun, *sys.argv], env=environment, check=False).returncode


def _measure(given: argparse.Namespace) -> None:
    compute = choose_compute(device_of_rank(given.device), "auto")
    set_numerics(deterministic=False, tf32=False)
    crew = joined_crew(compute.device)
    recipe, batch = _recipe(given, crew.size)
    require_shares(batch, crew.size)
    dataset = built_dataset(recipe)
    found = []
    for case in _cases(crew.size, batch, compute):
        if crew.leads:
            print(f"{case.name} …", file=sys.stderr, flush=True)
        if case.ranks > 1:
            found.append(_measured(case, recipe, dataset, compute, crew, is_tiny=given.tiny))
        elif crew.leads:
            found.append(_measured(case, recipe, dataset, compute, ALONE, is_tiny=given.tiny))
        crew.meet()
    if crew.leads:
        print("\n".join(lines(machine(compute.device), recipe, compute, found, is_tiny=given.tiny)))
        if given.json:
            _write(given.json, machine(compute.device), found, is_tiny=given.tiny)


def _cases(ranks: int, batch: int, compute: Compute) -> Iterator[Case]:
    yield Case(name="1 process, launched", ranks=1, batch=batch)
    if compute.device.type == "cuda":
        yield Case(name="1 process, replayed", ranks=1, batch=batch, replay=True)
    if ranks > 1:
        yield Case(name=f"{ranks} ranks, weak", ranks=ranks, batch=ranks * batch)
        yield Case(name=f"{ranks} ranks, strong", ranks=ranks, batch=batch)


def _recipe(given: argparse.Namespace, ranks: int) -> tuple[Recipe, int]:
    """With data for the largest batch where they can be made, and sequences per rank."""
    batch = given.batch_per_rank or (TINY_BATCH if given.tiny else 4096)
    overrides = [*(TINY if given.tiny else ()), *given.set, "train.compile=false", "train.non_finite=skip"]
    read = partial(load_recipe, given.recipe, registry=installed())
    recipe = read(overrides=overrides).recipe
    has_number = hasattr(recipe.data, "num_sequences")
    if has_number and not any(each.startswith("data.num_sequences=") for each in given.set):
        fewest = int(ranks * batch / TRAINING_SHARE) + 1
        made = fewest if given.tiny else max(fewest, recipe.data.num_sequences)
        recipe = read(overrides=[*overrides, f"data.num_sequences={made}"]).recipe
    return timed_recipe(recipe), batch


def _measured(
    case: Case, recipe: Recipe, dataset: SequenceDataset, compute: Compute, crew: Crew, *, is_tiny: bool
) -> Measured:
    """Time first, then one more step that is counted."""
    train = attrs.evolve(recipe.train, batch_size=case.batch, replay=case.replay)
    recipe, device = attrs.evolve(recipe, train=train), compute.device
    effort = Effort.of(device, is_quick=is_tiny)
    with _trainer(recipe, dataset, compute, crew) as trainer:
        _steps(trainer, range(effort.warm_up))
        rounds = []
        for round_ in range(effort.rounds):
            first = effort.warm_up + round_ * effort.steps
            rounds.append(_seconds(trainer, range(first, first + effort.steps)) / effort.steps)
        peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
        counted = Counted()
        if crew.size > 1:
            with counted:
                _steps(trainer, [effort.warm_up + effort.rounds * effort.steps])
        sizes = Sizes.of(trainer, crew.size, case.batch // crew.size)
        try:
            formula = by_kind(by_formula(recipe, sizes))
        except NoFormulaError as error:
            formula = None
            if crew.leads:
                print(f"no formula for {error}", file=sys.stderr)
        return Measured(
            name=case.name, ranks=case.ranks, batch=case.batch, ms=MS * statistics.median(rounds), peak_mib=peak,
            augmentation_ms=_augmentation_ms(trainer, is_tiny=is_tiny), not_replayed=trainer.step.not_replayed,
            formula=formula, counted=by_kind(counted.sent), calls=len(counted.sent), sent=counted.sent,
        )  # fmt: skip


@contextmanager
def _trainer(recipe: Recipe, dataset: SequenceDataset, compute: Compute, crew: Crew) -> Iterator[Trainer]:
    """One at its start, on a device whose memory the one before has left."""
    gc.collect()
    if compute.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(compute.device)
    with tempfile.TemporaryDirectory(prefix="jepa-ranks-") as folder:
        trainer = Trainer(recipe, dataset, compute, CheckpointFolder(Path(folder), keep=2), Nobody(), crew=crew)
        trainer.initialise()
        try:
            yield trainer
        finally:
            trainer.step.replay.stop()


def _steps(trainer: Trainer, steps: Sequence[int]) -> None:
    """As the trainer's loop takes them: ranks ask each other before each micro-batch and after the step."""
    for step in steps:
        trainer.step(step, lambda _: agreed(trainer.crew, Word()).stop_signal is None)
        agreed(trainer.crew, Word())


def _seconds(trainer: Trainer, steps: Sequence[int]) -> float:
    """Of all these steps, on the slowest rank. Ranks begin together."""
    device = trainer.compute.device
    wait_for(device)
    trainer.crew.meet()
    begun = time.perf_counter()
    _steps(trainer, steps)
    wait_for(device)
    (microseconds,) = trainer.crew.agree([round(1e6 * (time.perf_counter() - begun))])
    return microseconds / 1e6


def _augmentation_ms(trainer: Trainer, *, is_tiny: bool) -> float:
    """Of the whole batch, as each rank does it in each micro-batch; views too."""
    step, device = trainer.step, trainer.compute.device
    batch = step.batches.draw(step.course.at(0))

    def augmented() -> list[Any]:
        whole = step.augment(batch)
        return [whole, *(view(whole) for view in step.views.values())]

    ms = timed(augmented, device, Timing.of(device, is_quick=is_tiny)).ms
    return trainer.recipe.train.accumulate * ms


def lines(
    found_machine: dict[str, str], recipe: Recipe, compute: Compute, found: Sequence[Measured], *, is_tiny: bool
) -> Iterator[str]:
    """Markdown: times, then bytes of each case that communicates."""
    machine_line = (value if name == "device" else f"{name} {value}" for name, value in found_machine.items())
    yield " · ".join([*machine_line, recipe.name, compute.precision])
    baselines = [each for each in found if each.ranks == 1]
    headings = "".join(f" of ranks × {each.name} |" for each in baselines)
    yield f"\n| | sequences a step | a step | sequences/s |{headings} augmentation and views | memory |"
    yield f"{'| --- ' * (6 + len(baselines))}|"
    for each in found:
        shares = "".join(
            f" {each.rate / (each.ranks * base.rate):.0%} |" if each.ranks > 1 else " |" for base in baselines
        )
        memory = memory_text(each.peak_mib) if each.peak_mib else ""
        note = f" (launched after all: {each.not_replayed})" if each.not_replayed and each.ranks == 1 else ""
        yield (
            f"| {each.name}{note} | {each.batch:,} | {time_text(each.ms)} | {each.rate:,.0f} |{shares} "
            f"{time_text(each.augmentation_ms)} | {memory} |"
        )
    for each in found:
        if each.ranks > 1:
            yield from _bytes_lines(each)
    if is_tiny:
        yield "\nA rehearsal: these times say nothing."


def _bytes_lines(measured: Measured) -> Iterator[str]:
    yield f"\n| {measured.name}: bytes a rank hands over in a step | by formula | counted |\n{'| --- ' * 3}|"
    formula = measured.formula or {}
    for kind, num_bytes in measured.counted.items():
        yield f"| {kind} | {f'{formula[kind]:,}' if formula else 'not known'} | {num_bytes:,} |"
    yield f"| all | {f'{sum(formula.values()):,}' if formula else ''} | {sum(measured.counted.values()):,} |"
    sent = on_a_ring(measured.sent, measured.ranks)
    yield f"\n{measured.calls} collectives; on a ring each rank sends {sent / 1e6:,.2f} MB."
    if formula:
        differing = [kind for kind, num_bytes in measured.counted.items() if formula[kind] != num_bytes]
        yield f"Formula and count differ: {', '.join(differing)}." if differing else "Formula and count agree."


def _formula_lines(given: argparse.Namespace) -> Iterator[str]:
    recipe, batch = _recipe(given, 1)
    sizes = sizes_of(recipe, given.ranks, batch)
    try:
        sent = by_formula(recipe, sizes)
    except NoFormulaError as error:
        raise JepaError(f"there is no formula for {error}. Leave --formula out: it is counted then.") from error
    yield f"{given.ranks} ranks of {batch:,} sequences each · {sizes.parameters:,} parameters\n"
    yield "| cause | kind | how | bytes a rank hands over in a step | sent on a ring |\n| --- | --- | --- | --- | --- |"
    for each in sent:
        ring = on_a_ring([each], given.ranks)
        yield f"| {each.cause} | {each.kind} | {each.way} | {each.num_bytes:,} | {ring:,.0f} |"
    yield f"| all | | | {sum(each.num_bytes for each in sent):,} | {on_a_ring(sent, given.ranks):,.0f} |"


def sizes_of(recipe: Recipe, ranks: int, batch: int) -> Sizes:
    """Of a recipe that is not trained: its model is built here, for a batch that any data have."""
    recipe = attrs.evolve(recipe, train=attrs.evolve(recipe.train, batch_size=1))
    folder = CheckpointFolder(Path(tempfile.gettempdir()), keep=2)
    compute = Compute(torch.device("cpu"), "fp32")
    return Sizes.of(Trainer(recipe, built_dataset(recipe), compute, folder, Nobody()), ranks, batch)


def _write(path: Path, found_machine: dict[str, str], found: Sequence[Measured], *, is_tiny: bool) -> None:
    cases = [attrs.asdict(each) | {"per_second": each.rate} for each in found]
    with appearing_whole(path) as draft:
        text = json.dumps({"machine": found_machine, "is_tiny": is_tiny, "cases": cases}, indent=1)
        draft.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    code = main()
    if is_rank():
        # A thread of gloo's may hold the last tensor that was communicated. Were it to let go while Python ends, the
        # process would be aborted.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
