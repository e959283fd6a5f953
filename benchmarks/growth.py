"""How a training step grows: time and memory along one size after another, each from the reference step.

The recipe is reference_step.toml; its data are random grids that fill all places for objects, made once. On CUDA steps
are replayed, nothing is compiled. Sizes are measured from the cheapest to the dearest, so that a limit of time leaves
the largest out, and what does not fit the device is said. Width changes the number of heads too, of 48 dimensions each.

    python benchmarks/growth.py --seconds 220 --json growth.json
    python benchmarks/growth.py --axes batch,queue
    python benchmarks/growth.py --read growth.json --plot growth.svg
    python benchmarks/growth.py --tiny                       (a rehearsal on a CPU: sizes that say nothing)
"""

# ruff: noqa: E402

from __future__ import annotations

# Before torch is imported, which reads it then.
from jepa_core.cli import prepare_torch

prepare_torch()

import argparse
import functools
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import attrs
import cattrs
import torch

from jepa_core.benchmarking.device_rates import machine
from jepa_core.benchmarking.table import memory_text, time_text
from jepa_core.benchmarking.training_step import Effort, timed_step
from jepa_core.contracts import Observations, SequenceDataset, Sequences
from jepa_core.engine.device import Compute, choose_compute, set_numerics
from jepa_core.engine.output_files import appearing_whole
from jepa_core.errors import JepaError
from jepa_core.presentation.comparison_plot import check_plot_path
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed
from jepa_plugins.grids.space import GridSpace

RECIPE = Path(__file__).with_name("reference_step.toml")
SIDE = 10
HEAD_DIM = 48
LINEAR = 1.15
"""Largest exponent of growth that still counts as linear."""
NOISE = 0.3
"""A larger size that takes less, by such an exponent, was not measured well."""
OUT_OF_MEMORY, OUT_OF_TIME = "out of memory", "not measured: no time left"


@attrs.frozen(kw_only=True)
class Axis:
    """A size that is varied; its first value is that of the reference step."""

    name: str
    sizes: tuple[int, ...]
    cost: Callable[[int, int], float]
    """About how many times the reference step a size takes, given the first size: decides the order alone."""


AXES = (
    Axis(name="batch", sizes=(512, 1_024, 2_048, 4_096, 8_192, 16_384), cost=lambda size, first: size / first),
    Axis(name="queue", sizes=(8_192, 16_384, 32_768, 65_536, 131_072, 262_144), cost=lambda size, _: 1 + size / 1e6),
    Axis(name="codes", sizes=(768, 3_072, 12_288, 65_536), cost=lambda size, _: 1 + size / 2e4),
    Axis(name="context", sizes=(3, 6, 10, 16), cost=lambda size, first: (size + 1) / (first + 1)),
    Axis(name="objects", sizes=(16, 32, 64), cost=lambda size, first: size / first),
    Axis(name="width", sizes=(384, 768, 1_152, 1_536), cost=lambda size, first: (size / first) ** 2),
)
TINY = {"batch": (4, 8), "queue": (16, 32), "codes": (4, 8), "context": (3, 4), "objects": (4, 8), "width": (48, 96)}
"""The sizes of `--tiny`."""


@attrs.frozen(kw_only=True)
class Point:
    """One size of one axis."""

    axis: str
    size: int
    batch: int
    """Sequences of a step."""
    ms: float | None = None
    peak_mib: float | None = None
    """All memory of the device; None on a CPU."""
    note: str = ""
    """Why there is no time, or why the step is not replayed."""


@attrs.frozen(kw_only=True)
class Growth:
    """What a run of this script measured."""

    machine: dict[str, str]
    seconds: float
    """All of it."""
    points: list[Point]
    """By axis, smallest first; an axis's first is the reference step."""
    is_tiny: bool = False
    """Whether sizes are those of a rehearsal."""

    def axes(self) -> dict[str, list[Point]]:
        """Axis → its points."""
        return {axis: [point for point in self.points if point.axis == axis] for axis in
                dict.fromkeys(point.axis for point in self.points)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [axis.name for axis in AXES]
    parser.add_argument("--axes", default=",".join(names), help="some of them, apart by commas (default: all)")
    parser.add_argument(
        "--seconds", type=float, default=220.0, help="begin no size that would end later (default: 220)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes that a CPU is done with in seconds, for a rehearsal")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--read", type=Path, metavar="FILE", help="measure nothing: take the figures of an earlier --json"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw time and memory there; needs matplotlib")
    given = parser.parse_args()
    chosen = given.axes.split(",")
    unknown = [name for name in chosen if name not in names]
    if unknown:
        parser.error(f"--axes {given.axes}: there is no {unknown[0]!r}. Axes: {', '.join(names)}")
    if given.plot:
        try:
            check_plot_path(given.plot)
        except JepaError as error:
            parser.error(str(error))
    growth = _read(given.read) if given.read else _measured(chosen, given.device, given.seconds, is_tiny=given.tiny)
    print("\n".join(lines(growth)))
    if given.json:
        with appearing_whole(given.json) as draft:
            draft.write_text(json.dumps(attrs.asdict(growth), indent=1) + "\n", encoding="utf-8")
    if given.plot:
        from growth_plot import draw

        draw(growth, given.plot)


def _read(path: Path) -> Growth:
    return cattrs.structure(json.loads(path.read_text(encoding="utf-8")), Growth)


def _measured(chosen: Sequence[str], device: str, seconds: float, *, is_tiny: bool) -> Growth:
    begun = time.perf_counter()
    compute = choose_compute(device, "auto")
    set_numerics(deterministic=False, tf32=False)
    axes = [attrs.evolve(axis, sizes=TINY[axis.name]) if is_tiny else axis for axis in AXES]
    first = {axis.name: axis.sizes[0] for axis in axes}
    axes = [axis for axis in axes if axis.name in chosen]
    grids = _random_grids(axes, first)
    measure = functools.partial(_point, first=first, grids=grids, compute=compute, is_tiny=is_tiny)
    reference = measure("reference", 0)
    print(f"reference step: {_time_text(reference)}", file=sys.stderr)
    found = {(axis.name, axis.sizes[0]): attrs.evolve(reference, axis=axis.name, size=axis.sizes[0]) for axis in axes}
    larger = [(axis.cost(size, axis.sizes[0]), axis.name, size) for axis in axes for size in axis.sizes[1:]]
    done, since = 0.0, time.perf_counter()
    for cost, name, size in sorted(larger):
        pace = (time.perf_counter() - since) / done if done else 0.0
        batch = size if name == "batch" else first["batch"]
        if time.perf_counter() - begun + pace * cost > seconds:
            point = Point(axis=name, size=size, batch=batch, note=OUT_OF_TIME)
        else:
            point, done = measure(name, size), done + cost
        found[name, size] = point
        print(
            f"{time.perf_counter() - begun:6.1f} s  {name} {size:,}: {_time_text(point)}", file=sys.stderr, flush=True
        )
    points = [found[axis.name, size] for axis in axes for size in axis.sizes]
    return Growth(machine=machine(compute.device), seconds=time.perf_counter() - begun, points=points, is_tiny=is_tiny)


def _point(
    axis: str, size: int, *, first: dict[str, int], grids: Observations, compute: Compute, is_tiny: bool
) -> Point:
    sizes = first | ({} if axis == "reference" else {axis: size})
    recipe, batch = _recipe(sizes, is_tiny=is_tiny), sizes["batch"]
    effort = (
        Effort(warm_up=12, rounds=3, steps=2) if compute.device.type == "cuda" else Effort(warm_up=1, rounds=2, steps=1)
    )
    try:
        figures = timed_step(recipe, _dataset(grids, sizes["context"]), compute, effort)
    except torch.OutOfMemoryError:
        point = Point(axis=axis, size=size, batch=batch, note=OUT_OF_MEMORY)
    else:
        why = f"launched: {figures.not_replayed}" if figures.not_replayed else ""
        point = Point(axis=axis, size=size, batch=batch, ms=figures.ms, peak_mib=figures.peak_mib, note=why)
    return point


def _recipe(sizes: dict[str, int], *, is_tiny: bool) -> Recipe:
    overrides = [
        f"train.batch_size={sizes['batch']}",
        f"losses.info_nce.queue={sizes['queue']}",
        f"quantizer.codes={sizes['codes']}",
        # Codes are drawn, as k-means takes longer to start 65,536 of them than all that is timed here.
        "quantizer.initial=data",
        f"encoder.max_objects={sizes['objects']}",
        f"encoder.dim={sizes['width']}",
        f"encoder.heads={sizes['width'] // HEAD_DIM}",
        "train.compile=false",
        *(["losses.sigreg.slices=8", "encoder.layers=1"] if is_tiny else []),
    ]
    return load_recipe(RECIPE, overrides=overrides, registry=installed()).recipe


def _random_grids(axes: Sequence[Axis], first: dict[str, int]) -> Observations:
    """As many sequences as the largest batch, of as many grids as the longest context and a target; the 64 and more
    objects of each fill all places."""
    most = {name: max([size, *(size for axis in axes if axis.name == name for size in axis.sizes)])
            for name, size in first.items()}  # fmt: skip
    shape = most["batch"], most["context"] + 1
    generator = torch.Generator().manual_seed(0)
    return Observations(
        {
            "grid": torch.randint(10, (*shape, SIDE, SIDE), dtype=torch.uint8, generator=generator),
            "size": torch.full((*shape, 2), SIDE),
        }
    )


def _dataset(grids: Observations, context_length: int) -> SequenceDataset:
    """All sequences, with the first of their grids."""
    observations = grids[:, : context_length + 1]
    sequences = Sequences(observations=observations, tasks=torch.arange(len(grids)))
    return SequenceDataset(
        space=GridSpace(side=SIDE),
        train=sequences,
        validation=Sequences(observations=observations[:2], tasks=torch.arange(2)),
        task_names=tuple(map(str, range(len(grids)))),
        description="random grids",
        fingerprint="",
    )


def lines(growth: Growth) -> Iterator[str]:
    """A Markdown table for each axis, each with a sentence below."""
    yield " · ".join(value if name == "device" else f"{name} {value}" for name, value in growth.machine.items())
    for axis, points in growth.axes().items():
        yield f"\n| {axis} | a step | a sequence | memory | exponent of time | of memory |\n{'| --- ' * 6}|"
        for before, point in zip([None, *points], points, strict=False):
            time_exponent, memory_exponent = exponents(before, point) if before else (None, None)
            sequence = time_text(point.ms / point.batch) if point.ms else ""
            memory = memory_text(point.peak_mib) if point.peak_mib else ""
            grown = " | ".join("" if each is None else f"{each:.2f}" for each in (time_exponent, memory_exponent))
            yield f"| {point.size:,} | {_time_text(point)} | {sequence} | {memory} | {grown} |"
        yield "\nA rehearsal: these sizes say nothing." if growth.is_tiny else f"\n{_sentence(axis, points)}"


def exponents(before: Point, point: Point) -> tuple[float | None, float | None]:
    """p of time ∝ sizeᵖ and of memory ∝ sizeᵖ between neighbours; None where one of them is not known."""
    grown = math.log(point.size / before.size)
    times = math.log(point.ms / before.ms) / grown if point.ms and before.ms else None
    known = point.peak_mib and before.peak_mib
    return times, math.log(point.peak_mib / before.peak_mib) / grown if known else None  # type: ignore[operator]


def _sentence(axis: str, points: list[Point]) -> str:
    said = []
    for which, what in enumerate(("Time", "Memory")):
        steep = [
            (before.size, exponent) for before, point in pairwise(points)
            if (exponent := exponents(before, point)[which]) is not None and exponent > LINEAR
        ]  # fmt: skip
        if steep:
            said.append(f"{what} is no longer linear in {axis} from {steep[0][0]:,} on (exponent {steep[0][1]:.2f}).")
        elif any((exponents(*pair)[which] or 0.0) < -NOISE for pair in pairwise(points)):
            said.append(f"{what} varies too much to tell how it grows with {axis}.")
        elif any(exponents(*pair)[which] is not None for pair in pairwise(points)):
            said.append(f"{what} is at most linear in {axis}.")
    said += [f"{point.size:,} runs out of memory." for point in points if point.note == OUT_OF_MEMORY]
    said += [f"{point.size:,} was not measured for want of time." for point in points if point.note == OUT_OF_TIME]
    return " ".join(said)


def _time_text(point: Point) -> str:
    return point.note if point.ms is None else time_text(point.ms) + (f" ({point.note})" if point.note else "")


if __name__ == "__main__":
    main()
