"""What a step is like: gradient norm and clip limit, temperature and bounds, padding, time and memory of the run."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import attrs
import torch

from jepa_core.audit.bench import Bench
from jepa_core.audit.report import StepFigures
from jepa_core.contracts import SequenceDataset
from jepa_core.engine.affordable import host_memory
from jepa_core.engine.augmentation import built_augmentations
from jepa_core.engine.batches import BatchStream, require_training_batch
from jepa_core.engine.course import Course
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.device import Compute
from jepa_core.engine.network import build_parts
from jepa_core.engine.objective import Outcome
from jepa_core.engine.step import TrainingStep
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.findings import Finding

WARM_UP_STEPS, MEASURED_STEPS = 2, 3
AT_BOUND = 0.01
"""Relative distance from a bound that counts as being at it."""
MUCH_PADDING = 0.9


@attrs.frozen
class _Cost:
    seconds: float
    gib: float
    measured: str


def audit_step(
    bench: Bench, recipe: Recipe, dataset: SequenceDataset, compute: Compute, outcome: Outcome
) -> StepFigures:
    """Figures of the measured steps; `recipe` is the run's own.

    Raises:
        RecipeError: there are fewer sequences than a batch has.
    """
    require_training_batch(recipe, dataset)
    is_cuda = compute.device.type == "cuda"
    cost = _measured_cost(recipe, dataset, compute) if is_cuda else _extrapolated_cost(bench, recipe, dataset)
    return StepFigures(
        grad_norms=tuple(step.figures.get("grad.norm", math.inf) for step in bench.steps),
        clip_norm=recipe.train.clip_norm,
        padding=1 - float(outcome.forward.context_embeddings.mask.float().mean()),
        temperatures=_temperatures(bench),
        seconds=cost.seconds,
        total_steps=Course.of(recipe, len(dataset.train)).run_steps,
        memory_gib=cost.gib,
        measured=cost.measured,
    )


def _temperatures(bench: Bench) -> dict[str, tuple[float, float, float]]:
    """Of losses whose settings bound a temperature."""
    found = {}
    for name, entry in bench.recipe.losses.items():
        bounds = [getattr(entry.config, f"temperature_{end}", None) for end in ("min", "max")]
        value = bench.steps[-1].figures.get("temperature")
        if value is not None and all(isinstance(bound, float) for bound in bounds):
            found[name] = (value, float(bounds[0] or 0), float(bounds[1] or 0))
    return found


def _extrapolated_cost(bench: Bench, recipe: Recipe, dataset: SequenceDataset) -> _Cost:
    """From the bench's small batches: on a CPU, time and activations grow with the batch."""
    factor = recipe.train.batch_size / bench.recipe.train.batch_size
    seconds = min(step.seconds for step in bench.steps) * factor * recipe.train.accumulate
    measured = f"extrapolated from steps of {bench.recipe.train.batch_size} sequences"
    return _Cost(seconds, extrapolated_gib(bench, recipe, dataset), measured)


def extrapolated_gib(bench: Bench, recipe: Recipe, dataset: SequenceDataset) -> float:
    """Of weights, optimizer state, data and a micro-batch of the recipe's own size."""
    # The bench's parts hold what the encoder gave, and no encoder.
    encoder = [tensor.numel() for tensor in bench.memory.encoder.parameters()]
    online = [tensor.numel() for part in bench.start.trained().values() for tensor in part.parameters()]
    target = [tensor.numel() for tensor in bench.start.target.parameters()]
    data = sum(part.observations.num_bytes for part in (dataset.train, dataset.validation))
    saved = bench.saved_bytes * recipe.train.batch_size / bench.recipe.train.batch_size
    return (4 * (4 * sum(encoder + online) + sum(encoder + target)) + saved + data) / 2**30


def _measured_cost(recipe: Recipe, dataset: SequenceDataset, compute: Compute) -> _Cost:
    """Steps of the recipe's own size, on the device."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if recipe.train.tf32 else "highest")
    try:
        return _timed_steps(recipe, dataset, compute)
    finally:
        torch.set_float32_matmul_precision(before)


def _timed_steps(recipe: Recipe, dataset: SequenceDataset, compute: Compute) -> _Cost:
    recipe = attrs.evolve(recipe, train=attrs.evolve(recipe.train, compile=False, non_finite="skip"))
    shape = DataShape.of(dataset)
    parts = build_parts(recipe, shape, compute.device)
    batches = BatchStream(dataset.train, recipe.train.batch_size, recipe.train.seed, compute.device, place=recipe.place)
    augment = built_augmentations(recipe, shape)
    training = TrainingStep(
        recipe, parts, batches, compute, Course.of(recipe, len(dataset.train)), augment=augment, run_steps=10_000
    )
    torch.cuda.reset_peak_memory_stats(compute.device)
    try:
        for step in range(WARM_UP_STEPS):
            training(step)
        torch.cuda.synchronize(compute.device)
        started = time.perf_counter()
        for step in range(WARM_UP_STEPS, WARM_UP_STEPS + MEASURED_STEPS):
            training(step)
        torch.cuda.synchronize(compute.device)
    except torch.cuda.OutOfMemoryError:
        return _Cost(float("nan"), float("inf"), "a micro-batch does not fit the device's memory")
    seconds = (time.perf_counter() - started) / MEASURED_STEPS
    gib = torch.cuda.max_memory_allocated(compute.device) / 2**30
    return _Cost(seconds, gib, "measured on steps of the recipe's own batch, without compilation")


def step_findings(figures: StepFigures, recipe: Recipe) -> Iterator[Finding]:
    """Gradients that are not finite, clipping that never rests, a temperature at its bound, batches of padding, memory
    that does not suffice."""
    yield from _non_finite(figures)
    yield from _clipping(figures)
    for name, (value, low, high) in figures.temperatures.items():
        bound = next((bound for bound in (low, high) if low < high and abs(value / bound - 1) < AT_BOUND), None)
        if bound is not None:
            yield Finding(
                name=f"losses.{name} temperature at its bound",
                severity="warning",
                message=f"The temperature of losses.{name} is {value:.3g} after three steps: at its bound {bound:g}.",
                evidence={"temperature": value, "min": low, "max": high},
                advice="Start it between its bounds, or move the bound.",
                set={"losses": {name: {"temperature": round((low * high) ** 0.5, 4)}}},
            )
    if figures.padding > MUCH_PADDING:
        yield Finding(
            name="padding",
            severity="info",
            message=f"{100 * figures.padding:.0f} % of the context tokens are padding.",
            evidence={"share": figures.padding},
            advice="Fewer tokens of an observation would train as well, and faster.",
        )
    yield from memory_findings(figures.memory_gib, recipe)


def memory_findings(gib: float, recipe: Recipe) -> Iterator[Finding]:
    """`gib` is what a micro-batch takes with all that stays; infinite where the device has refused it."""
    there = host_memory() / 2**30
    if gib <= there:
        return
    is_refused = math.isinf(gib)
    yield Finding(
        name="out of memory",
        severity="critical",
        message=f"A micro-batch of {recipe.train.batch_size} sequences "
        + (
            "does not fit the device's memory."
            if is_refused
            else f"takes about {gib:,.1f} GiB, and this computer has {there:,.1f} GiB."
        ),
        **_smaller_batch(recipe, 1 if is_refused else math.ceil(math.log2(gib / there))),
    )


def _smaller_batch(recipe: Recipe, halvings: int) -> dict[str, Any]:
    """Advice and change."""
    factor = 2**halvings
    batch_size, accumulate = recipe.train.batch_size // factor, recipe.train.accumulate * factor
    if not batch_size:
        return {"advice": "Not even one sequence fits: make the model smaller."}
    advice = "Take fewer sequences at a time and more of them in a step: the same step, in less memory."
    return {"advice": advice, "set": {"train": {"batch_size": batch_size, "accumulate": accumulate}}}


def _non_finite(figures: StepFigures) -> Iterator[Finding]:
    num_bad = sum(not math.isfinite(norm) for norm in figures.grad_norms)
    if num_bad:
        yield Finding(
            name="gradient not finite",
            severity="critical",
            message=f"The gradient is not finite in {num_bad} of {len(figures.grad_norms)} measured steps: such a step "
            "is refused, and nothing is learned from it.",
            evidence={"grad_norms": list(figures.grad_norms)},
            advice="Look for a loss that divides by what may be zero or takes its logarithm, leave losses out one by "
            "one, and try a lower optimizer.lr.",
        )


def _clipping(figures: StepFigures) -> Iterator[Finding]:
    limit = figures.clip_norm
    # A norm that is not finite is refused, not clipped.
    if limit is None or not all(limit < norm < math.inf for norm in figures.grad_norms):
        return
    typical = sorted(figures.grad_norms)[len(figures.grad_norms) // 2]
    yield Finding(
        name="clipping saturated",
        severity="warning",
        message=f"Every measured step is clipped: gradient norms of {min(figures.grad_norms):.3g} to "
        f"{max(figures.grad_norms):.3g} against train.clip_norm = {limit:g}. "
        "The limit sets the step, not the gradient.",
        evidence={"grad_norms": list(figures.grad_norms), "clip_norm": limit},
        advice="Raise the limit above what is usual, so that it only catches outliers.",
        set={"train": {"clip_norm": float(f"{2 * typical:.1g}")}},
    )
