"""The online network and its EMA target: which part feeds which. Losses and optimisation are elsewhere.

B sequences, T observations of context, N tokens of an observation, D embedding dimension, P projection dimension.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import (
    ALONE,
    Aggregator,
    Crew,
    Embeddings,
    Encoder,
    Observations,
    Predictor,
    Quantized,
    Quantizer,
    QuantizesTargets,
    ViewTransform,
)
from jepa_core.engine.augmentation import named_augmentations
from jepa_core.engine.building import built
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.memory_faults import memory_for
from jepa_core.engine.projector import build_projector
from jepa_core.engine.seeds import seed_phase
from jepa_core.engine.slices import local
from jepa_core.facts import AggregatorFacts, EncoderFacts, LossFacts, PredictorFacts, QuantizerFacts
from jepa_core.recipes.tables import LossEntry, Recipe

if TYPE_CHECKING:  # the contract's protocols, of modules

    class EncoderModule(Encoder, nn.Module): ...

    class QuantizerModule(Quantizer, nn.Module): ...

    class AggregatorModule(Aggregator, nn.Module): ...

    class PredictorModule(Predictor, nn.Module): ...


class OnlineNetwork(nn.Module):
    """Encoder → quantizer → aggregator → predictor → projector."""

    encoder: EncoderModule
    quantizer: QuantizerModule
    aggregator: AggregatorModule
    predictor: PredictorModule
    projector: nn.Module

    def __init__(self, recipe: Recipe, shape: DataShape, crew: Crew = ALONE) -> None:
        super().__init__()
        context_length = shape.context_length
        self.encoder = built(recipe.encoder, EncoderFacts(space=shape.space))
        dim, tokens = self.encoder.embedding_dim, self.encoder.num_tokens
        self.embedding_dim, self.num_tokens = dim, tokens
        self.quantizer = built(recipe.quantizer, QuantizerFacts(embedding_dim=dim, crew=crew))
        self.aggregator = built(
            recipe.aggregator,
            AggregatorFacts(embedding_dim=dim, context_length=context_length, num_tokens=tokens, roles=shape.roles),
        )
        self.predictor = built(recipe.predictor, PredictorFacts(embedding_dim=dim, context_length=context_length))
        with memory_for("the projector", recipe.projector):
            self.projector = build_projector(recipe.projector, dim)

    def encode(self, observations: Observations) -> Embeddings:
        """Observations (M, …) to tokens (M, N, D)."""
        return self.encoder(observations)

    def quantize(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        """Tokens (..., N, D) to quantized tokens of the same shape."""
        return self.quantizer(values, mask, collect=collect)

    def quantize_target(self, values: Tensor, mask: Tensor) -> Quantized:
        """Tokens (B, N, D) of the target network to quantized tokens of the same shape."""
        if isinstance(self.quantizer, QuantizesTargets):
            return self.quantizer.of_target(values, mask)
        return self.quantize(values, mask, collect=False)

    def state(self, values: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, N, D) to the state (B, D)."""
        return self.aggregator(values, mask)


class TargetNetwork(nn.Module):
    """EMA copy of encoder and projector, never trained by gradient, without dropout (BYOL, arXiv 2006.07733).

    The codebook is not copied: the target side reads the online one.
    """

    def __init__(self, online: OnlineNetwork) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(online.encoder)
        self.projector = copy.deepcopy(online.projector)
        self.requires_grad_(False)
        self.eval()

    def encode(self, observations: Observations) -> Embeddings:
        """Observations (M, …) to tokens (M, N, D)."""
        return self.encoder(observations)

    def train(self, mode: bool = True) -> TargetNetwork:  # noqa: ARG002  # it stays in evaluation mode
        """Stay in evaluation mode, whatever the online network does."""
        return super().train(False)

    @torch.no_grad()
    def follow(self, online: OnlineNetwork, decay: float | Tensor, accept: Tensor) -> None:
        """Move by (1 − decay) towards the online weights where `accept` (a bool scalar on the device) is true."""
        refused = (~accept).float()
        for mine, theirs in ((self.encoder, online.encoder), (self.projector, online.projector)):
            averages: list[Tensor] = [local(parameter) for parameter in mine.parameters()]
            sources: list[Tensor] = [local(parameter) for parameter in theirs.parameters()]
            if averages:
                _fused_step(averages, list(torch._foreach_sub(sources, averages)), 1.0 - decay, refused)
            for average, source in zip(mine.buffers(), theirs.buffers(), strict=True):
                average.copy_(torch.where(accept, source, average))


def _fused_step(values: list[Tensor], directions: list[Tensor], size: float | Tensor, refused: Tensor) -> None:
    """Add `size` × direction in place, in one kernel that writes nothing at all where `refused` is 1.

    A weight of zero would not do: zero times a direction that is not finite is NaN.
    """
    torch._fused_sgd_(
        values,
        directions,
        [],
        weight_decay=0.0,
        momentum=0.0,
        lr=size,
        dampening=0.0,
        nesterov=False,
        maximize=True,
        is_first_step=False,
        found_inf=refused,
    )


def masked_mean(embeddings: Embeddings) -> Tensor:
    """(..., N, D) to (..., D): mean over real tokens; zeros where there is none."""
    weights = embeddings.mask.unsqueeze(-1).to(embeddings.values.dtype)
    return (embeddings.values * weights).sum(-2) / weights.sum(-2).clamp(min=1)


@attrs.frozen
class Parts:
    """All modules of a run."""

    online: OnlineNetwork
    target: TargetNetwork
    losses: nn.ModuleDict
    """By the names of the recipe's `losses` tables."""

    def trained(self) -> dict[str, nn.Module]:
        """Part name → module, for every part that the optimizer moves."""
        online = self.online
        parts: dict[str, nn.Module] = {
            "encoder": online.encoder,
            "quantizer": online.quantizer,
            "aggregator": online.aggregator,
            "predictor": online.predictor,
            "projector": online.projector,
        }
        return parts | dict(self.losses.items())


def build_parts(recipe: Recipe, shape: DataShape, device: torch.device, crew: Crew = ALONE) -> Parts:
    """Build every module under the recipe's seed, on the CPU, and move it to the device; `crew` shares the batches."""
    seed_phase(recipe.train.seed, "weights")
    online = OnlineNetwork(recipe, shape, crew)
    losses = nn.ModuleDict()
    augmentations = named_augmentations(recipe, shape)
    for name, entry in recipe.losses.items():
        losses[name] = built(entry.config, loss_facts(recipe, entry, online, shape, augmentations))
    return Parts(online.to(device), TargetNetwork(online).to(device), losses.to(device))


def loss_facts(
    recipe: Recipe,
    entry: LossEntry,
    online: OnlineNetwork,
    shape: DataShape,
    augmentations: Mapping[str, ViewTransform],
) -> LossFacts:
    """The facts that a loss of the recipe is built with; `augmentations` are the recipe's, by name."""
    return LossFacts(
        embedding_dim=online.embedding_dim,
        projection_dim=recipe.projector.dim,
        context_length=shape.context_length,
        num_tokens=online.num_tokens,
        batch_size=recipe.train.batch_size,
        weight=entry.weight,
        augmentations=augmentations,
    )
