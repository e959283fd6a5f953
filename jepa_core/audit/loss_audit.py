"""What each loss is like at the start: its share, how it grows with the embeddings, whether it can move at all.

A loss is probed with the embeddings of a real batch and with random ones, of the same shapes and masks; it is known by
its contract only.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.audit.bench import Bench
from jepa_core.audit.fields import with_value
from jepa_core.audit.rebuilding import Change, held_parts
from jepa_core.audit.report import LossFigures
from jepa_core.contracts import Forward, HasState
from jepa_core.engine.objective import Outcome
from jepa_core.engine.seeds import seed_generators, seed_phase
from jepa_core.recipes.tables import LossEntry
from jepa_core.watch.findings import Finding

CONSTANT = 1e-4
"""A loss that moves less over all probes, relative to its size, is constant."""

NEARLY_DEAD = 0.02

RUNAWAY_DEGREE = 3.0

NO_SHARE = 1e-9
"""Shares of the gradient below this are rounding."""

TensorMap = Callable[[Tensor], Tensor]


def audit_losses(bench: Bench, outcome: Outcome, shares: dict[str, float]) -> tuple[LossFigures, ...]:
    """Figures of every loss; `outcome` is the objective on the first batch at the start."""
    figures = []
    for name, loss in bench.start.losses.items():
        figures.append(
            LossFigures(
                name=name,
                value=float(outcome.terms[name]),
                share=shares.get(name, 0.0),
                degree=degree_of(loss, outcome.forward),
                spread=spread_of(loss, outcome.forward),
            )
        )
    return tuple(figures)


def degree_of(loss: nn.Module, forward: Forward) -> float | None:
    """log2 of the growth of a loss when all embeddings are doubled; of random embeddings where it is zero or
    changes its sign."""
    for probe in (forward, _mapped(forward, _random_normal)):
        once, twice = _value(loss, probe), _value(loss, _mapped(probe, lambda x: 2 * x))
        if once * twice > 0:
            return math.log2(twice / once)
    return None


def spread_of(loss: nn.Module, forward: Forward) -> float | None:
    """(largest − smallest) / largest size over real and random embeddings, some of unit length, some rearranged."""
    seed_generators(0)
    loss = _after_a_step(loss, forward)
    probes = [
        forward,
        replace(forward, z_context=forward.z_context.roll(1, 0)),
        _mapped(forward, _random_normal),
        _mapped(forward, lambda x: F.normalize(_random_normal(x), dim=-1)),
        _mapped(forward, lambda x: F.normalize(x.abs() + 1e-6, dim=-1)),
    ]
    values = [_value(loss, probe) for probe in probes]
    if not all(map(math.isfinite, values)):
        return None
    size = max(map(abs, values))
    return (max(values) - min(values)) / size if size else 0.0


def _after_a_step(loss: nn.Module, forward: Forward) -> nn.Module:
    """A copy that has seen a step, where it keeps state: a queue that is empty still says nothing of one that fills."""
    if not isinstance(loss, HasState):
        return loss
    loss = copy.deepcopy(loss)
    with torch.no_grad():
        statistics = loss(_mapped(forward, _random_normal)).statistics
        if statistics is not None:
            loss.after_step(statistics)
    return loss


def _random_normal(tensor: Tensor) -> Tensor:
    return torch.randn_like(tensor.float())


def _value(loss: nn.Module, forward: Forward) -> float:
    seed_phase(0, "audit", "probe")
    state = torch.get_rng_state()
    loss.eval()
    with torch.no_grad():
        value = float(loss(forward).value)
    torch.set_rng_state(state)
    return value


def _mapped(forward: Forward, change: TensorMap) -> Forward:
    """All embeddings changed; masked tokens stay zeros."""

    def tokens(values: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask[..., None], change(values), 0.0)

    context, target = forward.context_embeddings, forward.target_tokens
    quantized = forward.context_quantized
    return replace(
        forward,
        z_context=change(forward.z_context),
        z_target=change(forward.z_target),
        predicted=change(forward.predicted),
        state=change(forward.state),
        target=change(forward.target),
        context_embeddings=replace(context, values=tokens(context.values, context.mask)),
        context_quantized=replace(quantized, values=tokens(quantized.values, context.mask)),
        target_tokens=replace(target, values=tokens(target.values, target.mask)),
        views={
            name: replace(
                view,
                z_context=change(view.z_context),
                z_target=change(view.z_target),
                state=change(view.state),
                target=change(view.target),
            )
            for name, view in forward.views.items()
        },
        target_views={
            name: replace(view, z_target=change(view.z_target), target=change(view.target))
            for name, view in forward.target_views.items()
        },
    )


def loss_findings(bench: Bench, outcome: Outcome, figures: tuple[LossFigures, ...]) -> Iterator[Finding]:
    """Losses that reach nothing, cannot move, or run away with the scale."""
    for loss in figures:
        entry = bench.recipe.losses[loss.name]
        if entry.weight == 0:
            continue
        if loss.spread is not None and loss.spread < CONSTANT:
            yield _constant(loss)
        elif loss.share < NO_SHARE and not outcome_is_zero(loss):
            yield _unreached(loss)
        elif loss.spread is not None and loss.spread < NEARLY_DEAD:
            yield _nearly_dead(loss)
        if loss.degree is not None and loss.degree >= RUNAWAY_DEGREE:
            yield _runaway(bench, outcome.forward, loss, entry)


def outcome_is_zero(loss: LossFigures) -> bool:
    """Whether the loss is zero on real data at the start: then it may come to act later."""
    return loss.value == 0


def _constant(loss: LossFigures) -> Finding:
    return Finding(
        name=f"losses.{loss.name} constant",
        severity="critical",
        message=f"losses.{loss.name} is constant under any input: it moves {loss.spread:.2g} of its size over real, "
        "random and unit-length embeddings, so it teaches nothing.",
        evidence={"value": loss.value, "spread": loss.spread, "share": loss.share},
        advice="Leave it out, or feed it embeddings that keep their length.",
        set={"losses": {loss.name: {"weight": 0.0}}},
    )


def _nearly_dead(loss: LossFigures) -> Finding:
    return Finding(
        name=f"losses.{loss.name} nearly dead",
        severity="warning",
        message=f"losses.{loss.name} moves {100 * (loss.spread or 0.0):.1f} % over its input range: nearly dead.",
        evidence={"value": loss.value, "spread": loss.spread, "share": loss.share},
        advice="Leave it out, or feed it embeddings that keep their length.",
        set={"losses": {loss.name: {"weight": 0.0}}},
    )


def _unreached(loss: LossFigures) -> Finding:
    return Finding(
        name=f"losses.{loss.name} unreached",
        severity="critical",
        message=f"The gradient of losses.{loss.name} does not reach the encoder: "
        f"its share there is {100 * loss.share:.1f} %.",
        evidence={"value": loss.value, "share": loss.share},
        advice="Take it out, or look at where its gradient is cut off: its value trains nothing.",
        set={"losses": {loss.name: {"weight": 0.0}}},
    )


def _runaway(bench: Bench, forward: Forward, loss: LossFigures, entry: LossEntry) -> Finding:
    degree = round(loss.degree or 0)
    remedy = _tamer_setting(bench, forward, loss, entry)
    advice = "It takes over once the embeddings grow. Lower its weight, or compare what does not depend on the scale."
    if remedy:
        value = str(not getattr(entry.config, remedy)).lower()
        advice = f"It takes over once the embeddings grow; with {remedy} = {value} it does not grow so."
    return Finding(
        name=f"losses.{loss.name} runs away with the scale",
        severity="warning",
        message=f"losses.{loss.name} grows with power {degree} of the embeddings' scale "
        f"(×{2 ** (loss.degree or 0):.3g} when they double).",
        evidence={"degree": loss.degree, "value": loss.value},
        advice=advice,
        set={"losses": {loss.name: {remedy: not getattr(entry.config, remedy)}}} if remedy else {},
    )


def _tamer_setting(bench: Bench, forward: Forward, loss: LossFigures, entry: LossEntry) -> str:
    """A switch among its settings under which it does not grow so; empty when there is none."""
    for name, value in _switches(entry.config):
        try:
            recipe = with_value(bench.recipe, f"losses.{loss.name}", name, not value)
        except ValueError:
            continue
        module = held_parts(bench.start, bench.recipe, Change(recipe=recipe)).losses[loss.name]
        degree = degree_of(module, forward)
        if degree is not None and degree < RUNAWAY_DEGREE:
            return name
    return ""


def _switches(config: Any) -> Iterator[tuple[str, bool]]:
    for attribute in attrs.fields(type(config)):
        value = getattr(config, attribute.name)
        if isinstance(value, bool):
            yield attribute.name, value
