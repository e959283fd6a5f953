"""The reference step on 1 to 1,024 GPUs, on paper: docs/scaling.md. Nothing is measured here.

The time of one process and the contrast's speed were measured (docs/performance.md), bytes are by formula
(collectives.py), links and latencies are assumed, below. Nothing is taken to be hidden behind computing, and no rank
to be slower than another.

    python benchmarks/ranks_on_paper.py
"""

# ruff: noqa: E402

from __future__ import annotations

# Before torch is imported, which reads it then.
from jepa_core.cli import prepare_torch

prepare_torch()

import math
from collections.abc import Iterator

import attrs
from collectives import Sent, by_formula, by_kind, on_a_ring
from ranks import RECIPE, sizes_of

from jepa_core.benchmarking.results import MS
from jepa_core.benchmarking.training_step import timed_recipe
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed

RANKS = (1, 8, 64, 1024)
BATCH = 4096
QUEUE = 8192
STEP_MS = {"with views": (122.0, 120.0), "without views": (55.7, 35.7)}
"""Measured: one H200, 4,096 sequences, launched and replayed."""
PAIRS_PER_MS = 8192 * 270_336 / 4.6
"""Of a context and a candidate in the contrast, forward and backward; measured with the fused kernel."""
AUGMENTATION_BYTES = {"with views": 93_579, "without views": 928}
"""That a sequence's views move, added up over their operators' inputs and outputs; without views it is copied once."""
MEMORY_BYTES_PER_S = 4.2e12
"""Measured: copies on the device."""

# Assumed.
GPUS_OF_A_NODE = 8
NVLINK, BETWEEN_NODES = 450e9, 50e9
"""Bytes/s that a GPU sends, within a node and between nodes."""
LATENCY_MS = {True: 0.010, False: 0.020}
"""Of a collective of any size on the devices, within a node and between nodes."""
HOST_LATENCY_MS = 0.1
"""Of a word on the host, for each doubling of ranks."""


@attrs.frozen(kw_only=True)
class Paper:
    """Milliseconds of a step, by what takes them."""

    ranks: int
    compute: float
    contrast: float
    """What candidates of other ranks add."""
    augmentation: float
    """What sequences of other ranks add."""
    gradients: float
    rows: float
    """Gathered."""
    sums: float
    latency: float

    @property
    def step(self) -> float:
        """All of it."""
        return sum(value for name, value in attrs.asdict(self).items() if name != "ranks")


def on_paper(sent: list[Sent], ranks: int, views: str) -> Paper:
    """`sent`: what a rank hands over in a step."""
    is_node = ranks <= GPUS_OF_A_NODE
    others = (ranks - 1) * BATCH

    def ms(*kinds: str) -> float:
        link = NVLINK if is_node else BETWEEN_NODES
        return MS * on_a_ring([each for each in sent if each.kind in kinds], ranks) / link

    on_host = [each for each in sent if each.cause == "stop, save, end"]
    num_host = sum(each.calls for each in on_host)
    num_device = sum(each.calls for each in sent) - num_host
    return Paper(
        ranks=ranks,
        compute=STEP_MS[views][0],
        contrast=BATCH * others / PAIRS_PER_MS,
        augmentation=MS * others * AUGMENTATION_BYTES[views] / MEMORY_BYTES_PER_S,
        gradients=ms("gradients"),
        rows=ms("rows of losses", "rows of statistics"),
        sums=ms("sums of statistics", "means of losses"),
        latency=num_device * LATENCY_MS[is_node] + num_host * HOST_LATENCY_MS * math.log2(ranks),
    )


def lines() -> Iterator[str]:
    """Two Markdown tables in ms, and what is sent on a ring."""
    recipe = timed_recipe(load_recipe(RECIPE, overrides=["data.num_sequences=200"], registry=installed()).recipe)
    sizes = sizes_of(recipe, 2, BATCH)
    sent = {ranks: by_formula(recipe, attrs.evolve(sizes, ranks=ranks)) for ranks in RANKS}
    headings = "compute | contrast | augmentation | gradients | rows | sums | latency | a step | sequences/s"
    for views, (launched, replayed) in STEP_MS.items():
        yield f"\n| GPUs, {views} | {headings} | of launched | of replayed |\n{'| --- ' * 12}|"
        for ranks in RANKS:
            paper = on_paper(sent[ranks], ranks, views)
            parts = [value for name, value in attrs.asdict(paper).items() if name != "ranks"]
            cells = " | ".join(f"{value:.1f}" for value in parts)
            rate = round(ranks * BATCH / paper.step * MS, -3)
            shares = f"{launched / paper.step:.0%} | {replayed / paper.step:.0%}"
            yield f"| {ranks:,} | {cells} | {paper.step:.0f} ms | {rate:,.0f} | {shares} |"
    yield "\nsent by a rank on a ring:"
    for ranks in RANKS[1:]:
        by_one = {kind: [each for each in sent[ranks] if each.kind == kind] for kind in by_kind(sent[ranks])}
        yield f"{ranks:,}: " + ", ".join(
            f"{kind} {on_a_ring(some, ranks) / 1e6:,.4g} MB" for kind, some in by_one.items()
        )


if __name__ == "__main__":
    print("\n".join(lines()))
