"""From a batch of grids to the weighted sum of all loss terms. Pure: nothing here changes state, so it can be compiled.

B sequences, T context grids, N tokens of a grid, D embedding dimension, P projection dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core.contracts import (
    DeclaresViews,
    Embeddings,
    Forward,
    LossTerm,
    Quantized,
    Statistics,
    View,
    ViewTransform,
)
from jepa_core.engine.network import OnlineNetwork, Parts, TargetNetwork, masked_mean

Grids = tuple[Tensor, Tensor]
"""Grids (B, T+1, H, W) uint8 and sizes (B, T+1, 2)."""


@dataclass(frozen=True)
class Outcome:
    """What one micro-batch gave."""

    total: Tensor
    """Scalar: the objective."""
    terms: Mapping[str, Tensor]
    """Loss name → its weighted term, with gradient."""
    figures: Mapping[str, Tensor]
    """Scalars for the metrics row, by name, detached."""
    statistics: Mapping[str, Statistics]
    """For `after_step`, by component: `quantizer` or a loss's name."""
    encoder_output: Tensor
    """The encoder's output over contexts and views, with gradient."""
    forward: Forward


class Objective(nn.Module):
    """Encodes a batch once, with all views, and sums the loss terms."""

    def __init__(self, parts: Parts, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.online: OnlineNetwork = parts.online
        self.target: TargetNetwork = parts.target
        self.losses: nn.ModuleDict = parts.losses
        self.weights = dict(weights)

    def forward(self, batch: Grids, views: Mapping[str, Grids]) -> Outcome:
        """The objective on a batch and its views."""
        forward, encoder_output = self.encode(batch, views)
        terms: dict[str, LossTerm] = {name: loss(forward) for name, loss in self.losses.items()}
        quantizer_loss = forward.context_quantized.loss.float()
        weighted = {name: self.weights[name] * term.value.float() for name, term in terms.items()}
        weighted["quantizer"] = quantizer_loss
        total = torch.stack(list(weighted.values())).sum()

        figures = {"loss.total": total, "loss.quantizer.raw": quantizer_loss}
        figures |= {f"loss.{name}": value for name, value in weighted.items()}
        figures |= {f"loss.{name}.raw": term.value.float() for name, term in terms.items()}
        figures |= {key: value.float() for term in terms.values() for key, value in term.figures.items()}
        return Outcome(
            total=total,
            terms=weighted,
            figures={name: value.detach() for name, value in figures.items()},
            statistics={
                "quantizer": forward.context_quantized.statistics,
                **{name: term.statistics or Statistics() for name, term in terms.items()},
            },
            encoder_output=encoder_output,
            forward=forward,
        )

    def encode(self, batch: Grids, views: Mapping[str, Grids]) -> tuple[Forward, Tensor]:
        """Everything losses may look at, and the encoder's whole output."""
        online = self.online
        grids, sizes = batch
        num_context = grids.shape[1] - 1
        context = (grids[:, :num_context], sizes[:, :num_context])
        encoded, encoder_output = self._encode_together({"": context, **views})
        context_embeddings = encoded[""]

        quantized = online.quantize(context_embeddings.values, context_embeddings.mask, collect=True)
        state = online.state(quantized.values, context_embeddings.mask)
        predicted = online.predictor(state)
        target_tokens, target = self.encode_target(grids[:, num_context], sizes[:, num_context])
        with torch.no_grad():
            z_target = self.target.projector(target)
            z_grids = self.target.projector(masked_mean(Embeddings(quantized.values, context_embeddings.mask)))
        forward = Forward(
            z_context=online.projector(predicted),
            z_target=z_target,
            predicted=predicted,
            state=state,
            target=target,
            context_embeddings=context_embeddings,
            context_quantized=quantized,
            target_tokens=target_tokens,
            views={name: self._view(encoded[name]) for name in views},
            z_grids=z_grids,
        )
        return forward, encoder_output

    @torch.no_grad()
    def encode_target(self, grids: Tensor, sizes: Tensor) -> tuple[Embeddings, Tensor]:
        """Target grids (B, H, W) through EMA encoder and online codebook: tokens and their masked mean (B, D)."""
        embeddings: Embeddings = self.target.encoder(grids, sizes)
        quantized = self.online.quantize(embeddings.values, embeddings.mask, collect=False)
        tokens = Embeddings(quantized.values, embeddings.mask)
        return tokens, masked_mean(tokens)

    def _encode_together(self, groups: Mapping[str, Grids]) -> tuple[dict[str, Embeddings], Tensor]:
        """Encode groups of (B, G, H, W) grids in one call of the encoder."""
        grids = torch.cat([grids.flatten(0, 1) for grids, _ in groups.values()])
        sizes = torch.cat([sizes.flatten(0, 1) for _, sizes in groups.values()])
        embeddings = self.online.encode(grids, sizes)
        counts = [group.shape[0] * group.shape[1] for group, _ in groups.values()]
        values = embeddings.values.split(counts)
        masks = embeddings.mask.split(counts)
        encoded = {
            name: Embeddings(value.unflatten(0, group.shape[:2]), mask.unflatten(0, group.shape[:2]))
            for (name, (group, _)), value, mask in zip(groups.items(), values, masks, strict=True)
        }
        return encoded, embeddings.values

    def _view(self, encoded: Embeddings) -> View:
        """Projections of a view (B, T+1, N, D), all by the online network."""
        online = self.online
        quantized: Quantized = online.quantize(encoded.values, encoded.mask, collect=False)
        values, mask = quantized.values, encoded.mask
        z_context = online.projector(online.predictor(online.state(values[:, :-1], mask[:, :-1])))
        z_target = online.projector(masked_mean(Embeddings(values[:, -1], mask[:, -1])))
        return View(z_context=z_context, z_target=z_target)


def declared_views(losses: nn.ModuleDict) -> dict[str, ViewTransform]:
    """All views that the losses ask for, by name; two losses that name one view share it."""
    views: dict[str, ViewTransform] = {}
    for loss in losses.values():
        if isinstance(loss, DeclaresViews):
            views |= loss.views()
    return views
