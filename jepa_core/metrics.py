"""Declarations of metrics: name, unit, direction, range. The engine's own are here; components declare theirs.

Together they are the closed set of names that watch rules may use. Knows nothing of torch or of files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs

Better = Literal["higher", "lower", "neither"]


@attrs.frozen
class Metric:
    """One metric that may stand in a row. A name ending in `.*` declares a group, such as `loss.*`."""

    name: str
    doc: str
    better: Better = "neither"
    unit: str = ""
    minimum: float | None = attrs.field(default=None, kw_only=True)
    maximum: float | None = attrs.field(default=None, kw_only=True)

    @property
    def reported_in(self) -> str:
        """What each of its values comes from, in words: a validation, or a row of figures of training."""
        return "validation" if self.name.startswith("val.") else "row"


ANEW = "anew"
"""The metric in whose rows the windows of rules begin anew."""

ENGINE_METRICS: tuple[Metric, ...] = (
    Metric("step", "optimizer steps taken", minimum=0),
    Metric("epoch", "passes over the training sequences, a real number", minimum=0),
    Metric("lr", "learning rate of the step", minimum=0),
    Metric("loss.total", "weighted sum of all loss terms", "lower"),
    Metric("grad.norm", "norm of the gradient before clipping", minimum=0),
    Metric("grad.clipped", "share of steps clipped since the last row", minimum=0, maximum=1),
    Metric("grad.skipped", "share of steps since the last row that changed nothing: not finite", minimum=0, maximum=1),
    Metric(
        ANEW,
        "trained tensors that start anew after a rollback, only then: rules look back no further than this row",
        minimum=1,
    ),
    Metric("rank.context", "effective rank of the projected context embeddings, unit length", "higher", minimum=1),
    Metric("rank.target", "effective rank of the projected target embeddings, unit length", "higher", minimum=1),
    Metric("std.context", "mean standard deviation over dimensions of unit-length context embeddings", minimum=0),
    Metric("std.target", "mean standard deviation over dimensions of unit-length target embeddings", minimum=0),
    Metric("align", "mean squared distance of context and target embeddings, unit length", "lower", minimum=0),
    Metric("uniform", "log of the mean Gaussian potential of the target embeddings, unit length", "lower"),
    Metric("target.distance", "relative distance of the online from the EMA weights", minimum=0),
    Metric("target.ema_decay", "decay of the EMA target", minimum=0, maximum=1),
    Metric(
        "attention.entropy", "entropy of the aggregator's weights over time, relative to uniform", minimum=0, maximum=1
    ),
    Metric(
        "order.sensitivity", "how far the state moves when the context is permuted, relative to its norm", minimum=0
    ),
    Metric(
        "vq.usage",
        "share of codes chosen at least once over the diagnostics sample",
        "higher",
        "%",
        minimum=0,
        maximum=1,
    ),
    Metric("vq.perplexity", "exponential of the entropy of code use over the diagnostics sample", "higher"),
    Metric("vq.dead", "codes never chosen over the diagnostics sample", "lower", minimum=0),
    Metric("retrieval.mrr", "mean reciprocal rank of the target within the batch", "higher", minimum=0, maximum=1),
    Metric("retrieval.top1", "share of targets ranked first within the batch", "higher", "%", minimum=0, maximum=1),
    Metric(
        "retrieval.top10",
        "share of targets ranked in the first ten within the batch",
        "higher",
        "%",
        minimum=0,
        maximum=1,
    ),
    Metric("val.loss.total", "weighted sum of all loss terms on validation", "lower"),
    Metric(
        "val.retrieval.mrr",
        "mean reciprocal rank of the target among all validation targets",
        "higher",
        minimum=0,
        maximum=1,
    ),
    Metric("val.retrieval.top1", "share of validation targets ranked first", "higher", "%", minimum=0, maximum=1),
    Metric(
        "val.retrieval.top10",
        "share of validation targets ranked in the first ten",
        "higher",
        "%",
        minimum=0,
        maximum=1,
    ),
    Metric("val.retrieval.candidates", "distinct validation targets, among which each is ranked", minimum=0),
    Metric("val.retrieval.tasks", "tasks of validation, over which the interval of a difference is drawn", minimum=0),
    Metric(
        "val.retrieval.null_mrr",
        "the same list ranked by the strongest null, which learns nothing",
        minimum=0,
        maximum=1,
    ),
    Metric("val.retrieval.null_top1", "top-1 of the strongest null", unit="%", minimum=0, maximum=1),
    Metric(
        "val.retrieval.above_null",
        "mean reciprocal rank less the strongest null's, paired",
        "higher",
        minimum=-1,
        maximum=1,
    ),
    Metric("val.retrieval.above_null_low", "lower end of its 95 % bootstrap interval", "higher", minimum=-1, maximum=1),
    Metric(
        "val.retrieval.above_null_high", "upper end of its 95 % bootstrap interval", "higher", minimum=-1, maximum=1
    ),
    Metric("val.retrieval.null.*", "MRR and top-1 of every null, in the first validation row", minimum=0, maximum=1),
    Metric("val.hard.mrr", "mean reciprocal rank of the target among near copies", "higher", minimum=0, maximum=1),
    Metric("val.hard.top1", "share of targets ranked first among near copies", "higher", "%", minimum=0, maximum=1),
    Metric("val.hard.null_mrr", "near copies ranked by the null that is strongest there", minimum=0, maximum=1),
    Metric(
        "val.hard.blind_mrr", "near copies ranked by the model with another sequence's context", minimum=0, maximum=1
    ),
    Metric(
        "val.hard.medoid_mrr",
        "near copies ranked by how like all others each is: reads no context",
        minimum=0,
        maximum=1,
    ),
    Metric("val.hard.chance_mrr", "near copies ranked at random, by expectation", minimum=0, maximum=1),
    Metric("val.hard.null.*", "MRR of every null among near copies, in the first validation row", minimum=0, maximum=1),
    Metric(
        "val.rank.context", "effective rank of the context embeddings on validation, unit length", "higher", minimum=1
    ),
    Metric(
        "val.rank.target", "effective rank of the target embeddings on validation, unit length", "higher", minimum=1
    ),
    Metric(
        "val.rank.lidar",
        "LiDAR on validation: effective rank of what tells tasks apart in the context embeddings, unit length",
        "higher",
        minimum=1,
    ),
    Metric(
        "val.probe.null.*", "what raw features and the untrained network tell, in the first validation row", maximum=1
    ),
    Metric(
        "val.probe.*",
        "what predictions tell of a label: accuracy by knn or linear, R² of numbers by knn_r2 or r2",
        "higher",
        maximum=1,
    ),
    Metric("val.order.sensitivity", "order sensitivity on validation", minimum=0),
    Metric("time.step", "mean time of a step since the last row", "lower", "s"),
    Metric("time.data", "mean time to draw and augment a batch since the last row", "lower", "s"),
    Metric(
        "time.wait",
        "mean time of a step spent waiting for the other ranks, since the last row",
        "lower",
        "s",
        minimum=0,
    ),
    Metric("throughput.samples_per_second", "training sequences a second since the last row", "higher"),
    Metric("memory.device_gib", "peak memory on the device", "lower", "GiB"),
)


def declaration_of(name: str, metrics: Iterable[Metric]) -> Metric | None:
    """The declaration that covers a name: its own, else its group's, under that name; None where none does."""
    covering = [m for m in metrics if m.name == name or (m.name.endswith(".*") and name.startswith(m.name[:-1]))]
    own = next((metric for metric in covering if metric.name == name), None)
    return own or next((attrs.evolve(group, name=name) for group in covering), None)


def directed(names: Iterable[str], metrics: Iterable[Metric]) -> dict[str, Metric]:
    """The declarations of those names of which more or less is better, in their order."""
    known = tuple(metrics)
    found = {name: declaration_of(name, known) for name in names}
    return {name: metric for name, metric in found.items() if metric is not None and metric.better != "neither"}


def loss_metrics(name: str) -> tuple[Metric, ...]:
    """The metrics that every loss term brings: weighted and raw value, and its share of the gradient."""
    return (
        Metric(f"loss.{name}", f"loss term {name}, weighted", "lower"),
        Metric(f"loss.{name}.raw", f"loss term {name}, without its weight", "lower"),
        Metric(f"grad.share.{name}", f"share of {name} in the gradient at the encoder's output", minimum=0, maximum=1),
        Metric(f"val.loss.{name}.raw", f"loss term {name} on validation, without its weight", "lower"),
    )


def part_metrics(part: str) -> tuple[Metric, ...]:
    """The metrics that every part of the model with parameters brings."""
    return (Metric(f"moved.{part}", f"relative change of the parameters of {part} since the start", minimum=0),)
