"""The modules of a trial: those of the unchanged run's start, but for the parts whose settings are changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from jepa_core.audit.held_encoder import HeldEncoder, TriedTarget
from jepa_core.contracts import ComponentConfig
from jepa_core.engine.augmentation import named_augmentations
from jepa_core.engine.network import Parts, loss_facts
from jepa_core.engine.seeds import seed_phase
from jepa_core.facts import AggregatorFacts, PredictorFacts, QuantizerFacts
from jepa_core.recipes.tables import Recipe


@attrs.frozen(kw_only=True)
class Change:
    """What a trial has otherwise than the unchanged run."""

    recipe: Recipe
    frozen_target: bool = False
    own_encoders: bool = False
    """Whether the encoders have weights that move, since the target's may differ."""
    rolled_context: bool = False
    """Whether the aggregator sees the context in another order."""
    noise: float = 0.0
    """Relative noise on the aggregator's output: what rounding may do."""


def held_parts(start: Parts, base: Recipe, change: Change) -> Parts:
    """Copies of the start's modules, those with changed settings built anew; the rest starts as it was."""
    online, losses = copy.deepcopy(start.online), copy.deepcopy(start.losses)
    dim, encoder = online.embedding_dim, online.encoder
    assert isinstance(encoder, HeldEncoder)
    if change.own_encoders:
        encoder.take_weights()
    shape = encoder.memory.shape
    length = shape.context_length
    facts = {
        "quantizer": QuantizerFacts(embedding_dim=dim),
        "aggregator": AggregatorFacts(
            embedding_dim=dim, context_length=length, num_tokens=online.num_tokens, roles=shape.roles
        ),
        "predictor": PredictorFacts(embedding_dim=dim, context_length=length),
    }
    for name, fact in facts.items():
        old, new = getattr(base, name), getattr(change.recipe, name)
        if old != new:
            setattr(online, name, _rebuilt(getattr(online, name), (old, fact), (new, fact), base.train.seed))
    augmentations = named_augmentations(change.recipe, shape)
    for name, entry in change.recipe.losses.items():
        old_entry = base.losses[name]
        if entry != old_entry:
            old, new = ((e.config, loss_facts(base, e, online, shape, augmentations)) for e in (old_entry, entry))
            losses[name] = _rebuilt(losses[name], old, new, base.train.seed)
    target = TriedTarget(online, frozen=change.frozen_target, by_memory=not change.own_encoders)
    return Parts(online, target, losses)


def _rebuilt(
    started: nn.Module, old: tuple[ComponentConfig, Any], new: tuple[ComponentConfig, Any], seed: int
) -> nn.Module:
    """A module of the new settings. What both settings start alike has the state of `started`."""
    twin, module = (_seeded_build(config, facts, seed) for config, facts in (old, new))
    device = next((tensor.device for tensor in started.state_dict().values()), torch.device("cpu"))
    module.to(device)
    take_over_state(module, twin.state_dict(), started.state_dict())
    return module


def _seeded_build(config: ComponentConfig, facts: Any, seed: int) -> nn.Module:
    seed_phase(seed, "audit", "build")
    module: nn.Module = config.build(facts)
    return module


@torch.no_grad()
def take_over_state(module: nn.Module, twin: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Copy from `state` what `module` started with as the twin of the old settings did."""
    for name, tensor in module.state_dict().items():
        if name in twin and torch.equal(twin[name].to(tensor.device), tensor):
            tensor.copy_(state[name])
