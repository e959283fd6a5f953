"""What each part and each setting does in the first three steps: every one replaced or moved, the rest as it is."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import torch

from jepa_core.audit.bench import Bench
from jepa_core.audit.fields import Field, fields_of, with_value
from jepa_core.audit.rebuilding import Change, take_over_state
from jepa_core.audit.replacements import AverageConfig, UnquantizedConfig
from jepa_core.audit.report import ONE_OBSERVATION, ORDER_UNSEEN, EffectRow, Kind
from jepa_core.audit.trial import CLEAR, NO_EFFECT, Effect, relative_change
from jepa_core.engine.seeds import seed_phase
from jepa_core.facts import EncoderFacts
from jepa_core.recipes.tables import Recipe

ROUNDING = 1e-5
"""Relative changes of embeddings and loss below this are rounding in fp32."""

NOISE = 1e-7
"""Of the twin run that shows what three steps make of rounding."""


def setting_rows(bench: Bench, moving: Bench, identical: float, shares: dict[str, float]) -> Iterator[EffectRow]:
    """A row for every loss and every number. `identical` is the share of sequences whose context does not change.

    `bench` needs no more than encoded batches; on `moving`, whose encoder was trained, the target's settings are tried.
    """
    for name, entry in bench.recipe.losses.items():
        if entry.weight == 0:
            yield _row("loss", f"losses.{name}", "weight 0", NO_EFFECT, share=0.0, reason="its weight is 0")
            continue
        recipe = with_value(bench.recipe, f"losses.{name}", "weight", 0.0)
        effect = bench.try_change(Change(recipe=recipe), whole=False)
        yield _row("loss", f"losses.{name}", "weight 0", effect, share=shares.get(name, 0.0))
    for field in fields_of(bench.recipe):
        yield _field_row(moving if field.table == "target" else bench, field, identical)


def part_rows(bench: Bench, identical: float) -> Iterator[EffectRow]:
    """Aggregator, order, quantizer and target."""
    recipe = bench.recipe
    if recipe.aggregator.kind != AverageConfig.kind:
        change = Change(recipe=attrs.evolve(recipe, aggregator=AverageConfig()))
        effect = bench.try_change(change)
        reason = no_time_reason(bench.shape.context_length, identical)
        is_none = _is_rounding(bench, effect)
        yield _part_row(f"aggregator {recipe.aggregator.kind}", "mean", effect, reason, is_none=is_none)
    effect = bench.try_change(Change(recipe=recipe, rolled_context=True))
    reason = no_time_reason(bench.shape.context_length, identical) or ORDER_UNSEEN
    yield _part_row("context order", "permuted", effect, reason, is_none=_is_rounding(bench, effect))
    if recipe.quantizer.kind != UnquantizedConfig.kind:
        change = Change(recipe=attrs.evolve(recipe, quantizer=UnquantizedConfig()))
        yield _part_row(f"quantizer {recipe.quantizer.kind}", "none", bench.try_change(change))
    frozen = bench.try_change(Change(recipe=recipe, frozen_target=True))
    yield _part_row("target network", "frozen", frozen, "no loss looks at the target, or it does not move")


def _is_rounding(bench: Bench, effect: Effect) -> bool:
    """Whether three steps would make as much of a last bit that differs."""
    if effect.forward <= ROUNDING:
        return True
    if effect.forward > CLEAR:
        return False
    twin = bench.try_change(Change(recipe=bench.recipe, noise=NOISE))
    return effect.forward <= 10 * twin.forward


def no_time_reason(context_length: int, identical: float) -> str:
    """Why nothing can depend on which observation of context is which; empty when something can."""
    if context_length == 1:
        return ONE_OBSERVATION
    same = identical_reason(context_length, identical)
    return f"{same}: any weights that sum to one give their mean" if same else ""


def identical_reason(context_length: int, identical: float) -> str:
    """That the context does not change; empty when most are not."""
    if identical < 0.5:
        return ""
    share = "100 %" if identical == 1 else f"{100 * identical:.1f} %"
    return f"all {context_length} observations of context identical in {share} of sequences"


def _part_row(name: str, without: str, effect: Effect, reason: str = "", *, is_none: bool = False) -> EffectRow:
    is_none = is_none or effect.exact_none
    return _row("part", name, without, NO_EFFECT if is_none else effect, reason=reason if is_none else "")


def _field_row(bench: Bench, field: Field, identical: float) -> EffectRow:
    """The first direction that does anything."""
    if field.setting.acts_later:
        return _untestable(field, "acts later")
    effect, tried = NO_EFFECT, ""
    for word, recipe in field.moved(bench.recipe):
        effect, tried = _field_effect(bench, field, recipe), word if not tried else "±20 %"
        if not effect.exact_none:
            return _row("field", field.key, word, effect)
    if not tried:
        return _untestable(field, "is 0" if field.value == 0 else "cannot be moved within its range")
    return _row("field", field.key, tried, effect, reason=_field_reason(bench, field, identical))


def _field_reason(bench: Bench, field: Field, identical: float) -> str:
    """That the context does not change, when it would have an effect if they were not."""
    reason = identical_reason(bench.shape.context_length, identical)
    if not reason:
        return ""
    mixed = bench.mixed()
    _, recipe = next(field.moved(mixed.recipe))
    outcomes = [mixed.first_outcome(Change(recipe=tried)) for tried in (mixed.recipe, recipe)]
    return reason if not torch.equal(outcomes[0].total, outcomes[1].total) else ""


def _field_effect(bench: Bench, field: Field, recipe: Recipe) -> Effect:
    if field.table == "encoder":
        return encoder_effect(bench, recipe)
    return bench.try_change(Change(recipe=recipe, own_encoders=field.table == "target"), whole=False)


def encoder_effect(bench: Bench, recipe: Recipe) -> Effect:
    """What other settings make of the encoder's output on the first batch while it trains, and of its gradient."""
    facts = EncoderFacts(space=bench.shape.space)
    context = bench.first_batch().flatten()
    started = bench.memory.encoder.state_dict()
    outputs, gradients = [], []
    twin = None
    for config in (bench.recipe.encoder, recipe.encoder):
        seed_phase(0, "audit", "build")
        encoder = config.build(facts)
        twin = twin if twin is not None else {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
        encoder.to(context.device)
        take_over_state(encoder, twin, started)
        encoder.train()
        seed_phase(0, "audit", "encoder")
        values = encoder(context).values.float()
        outputs.append(values.detach())
        if len(outputs) == 1 or torch.equal(outputs[0], outputs[1]):
            gradients.append(_gradient(encoder, values))
    change = relative_change(outputs[1], outputs[0]) if outputs[0].shape == outputs[1].shape else 1.0
    if change == 0 and all(torch.equal(a, b) for a, b in zip(*gradients, strict=True)):
        return NO_EFFECT
    return Effect(embeddings=change, loss=0.0, gradient=0.0, parameters=0.0)


def _gradient(encoder: torch.nn.Module, values: torch.Tensor) -> list[torch.Tensor]:
    seed_phase(0, "audit", "direction")
    (values * torch.randn_like(values)).sum().backward()
    return [parameter.grad for parameter in encoder.parameters() if parameter.grad is not None]


def _untestable(field: Field, reason: str) -> EffectRow:
    return EffectRow(
        kind="field", name=field.key, without="±20 %", verdict="not testable", reason=f"not testable here: {reason}"
    )


def _row(
    kind: Kind, name: str, without: str, effect: Effect, *, share: float | None = None, reason: str = ""
) -> EffectRow:
    return EffectRow(
        kind=kind,
        name=name,
        without=without,
        verdict="none" if effect.exact_none else "effect",
        embeddings=effect.embeddings,
        loss=effect.loss,
        gradient=effect.gradient,
        parameters=effect.parameters,
        share=share,
        reason=reason,
    )
