"""From a batch of observations to the weighted sum of all loss terms. Pure: no state changes, so it can be compiled.

B sequences, T observations of context, N tokens of an observation, D embedding dimension, P projection dimension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core.contracts import (
    ALONE,
    AsksForEncoderViews,
    Crew,
    DeclaresTargetViews,
    DeclaresViews,
    Embeddings,
    Forward,
    LossTerm,
    Observations,
    OffersViews,
    Quantized,
    Reading,
    ReadingTransform,
    Statistics,
    TargetView,
    View,
    ViewTransform,
)
from jepa_core.engine.network import OnlineNetwork, Parts, TargetNetwork, masked_mean
from jepa_core.errors import RecipeError

_WHOLE = "views of the whole batch"


@dataclass(frozen=True)
class StepOutcome:
    """What one micro-batch gave for its step."""

    total: Tensor
    """Scalar: the objective, with gradient."""
    figures: Mapping[str, Tensor]
    """Scalars for the metrics row, by name, detached."""
    statistics: Mapping[str, Statistics]
    """For `after_step`, by component: `quantizer` or a loss's name."""


@dataclass(frozen=True)
class Outcome(StepOutcome):
    """The same, with what else there is to look at."""

    terms: Mapping[str, Tensor]
    """Loss name → its weighted term, with gradient."""
    encoder_output: Tensor
    """The encoder's output over contexts and views, with gradient."""
    forward: Forward


class Objective(nn.Module):
    """Encodes a batch once, with all views, and sums the loss terms."""

    def __init__(self, parts: Parts, weights: Mapping[str, float], crew: Crew = ALONE) -> None:
        """`crew`: the ranks that share a batch, of which each is given its part."""
        super().__init__()
        self.crew = crew
        self.online: OnlineNetwork = parts.online
        self.target: TargetNetwork = parts.target
        self.losses: nn.ModuleDict = parts.losses
        self.weights = dict(weights)
        self.encoder_views = encoder_views(parts.online.encoder, parts.losses)
        self.target_views = declared_target_views(parts.losses)

    def forward(self, batch: Observations, views: Mapping[str, Observations]) -> Outcome:
        """The objective on a batch (B, T+1, …) and its views."""
        forward, encoder_output = self.encode(batch, views)
        terms: dict[str, LossTerm] = {name: loss(forward) for name, loss in self.losses.items()}
        quantizer_loss = self._over_ranks(forward.context_quantized)
        weighted = {name: self.weights[name] * term.value.float() for name, term in terms.items()}
        weighted["quantizer"] = quantizer_loss
        total = torch.stack(list(weighted.values())).sum()

        figures = {"loss.total": total, "loss.quantizer.raw": quantizer_loss}
        figures |= {f"loss.{name}": value for name, value in weighted.items()}
        figures |= {f"loss.{name}.raw": term.value.float() for name, term in terms.items()}
        for reported in (forward.context_quantized.figures, *(term.figures for term in terms.values())):
            figures |= {key: value.float() for key, value in reported.items()}
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

    def _over_ranks(self, quantized: Quantized) -> Tensor:
        """The quantizer's own term: a mean over tokens, of which ranks may have different numbers."""
        loss = quantized.loss.float()
        if self.crew.size == 1 or quantized.count is None:
            return loss
        return self.crew.share(loss * quantized.count, quantized.count)

    def encode(self, batch: Observations, views: Mapping[str, Observations] | None) -> tuple[Forward, Tensor]:
        """Everything losses may look at, and the encoder's whole output; without any views when they are None."""
        online = self.online
        # Views of the whole batch in a row, so that one slice holds them all.
        in_order = dict(sorted((views or {}).items(), key=lambda view: view[0] in self.target_views))
        if views is None or not self.encoder_views:
            embeddings, shapes = self._encode_together({"": batch[:, :-1], **in_order})
        else:
            embeddings, shapes = self._embed_together(self._read_with_views(batch, in_order))
        whole = [name for name in shapes if name and name not in self.target_views]
        encoded = _parted(embeddings, _joined(shapes, whole))
        context_embeddings = encoded.pop("")

        quantized = online.quantize(context_embeddings.values, context_embeddings.mask, collect=True)
        state = online.state(quantized.values, context_embeddings.mask)
        predicted = online.predictor(state)
        target_tokens, target = self.encode_target(batch[:, -1])
        with torch.no_grad():
            z_target = self.target.projector(target)
            z_observed = self.target.projector(masked_mean(Embeddings(quantized.values, context_embeddings.mask)))
        forward = Forward(
            z_context=online.projector(predicted),
            z_target=z_target,
            predicted=predicted,
            state=state,
            target=target,
            context_embeddings=context_embeddings,
            context_quantized=quantized,
            target_tokens=target_tokens,
            views=self._views(encoded.pop(_WHOLE), whole) if whole else {},
            target_views={name: self._target_view(view) for name, view in encoded.items()},
            z_observed=z_observed,
            is_target=_equal(batch[:, :-1], batch[:, -1:]),
            crew=self.crew,
        )
        return forward, embeddings.values

    @torch.no_grad()
    def encode_target(self, targets: Observations) -> tuple[Embeddings, Tensor]:
        """Targets (B, …) through EMA encoder and online codebook: tokens and their masked mean (B, D)."""
        embeddings = self.target.encode(targets)
        quantized = self.online.quantize_target(embeddings.values, embeddings.mask)
        tokens = Embeddings(quantized.values, embeddings.mask, embeddings.neighbours)
        return tokens, masked_mean(tokens)

    def _encode_together(self, groups: Mapping[str, Observations]) -> tuple[Embeddings, dict[str, torch.Size]]:
        """Encode groups of observations (B, G, …) in one call of the encoder; their shapes (B, G)."""
        embeddings = self.online.encode(Observations.cat([group.flatten() for group in groups.values()]))
        return embeddings, {name: _leading(group.tensors) for name, group in groups.items()}

    def _read_with_views(self, batch: Observations, views: Mapping[str, Observations]) -> dict[str, Reading]:
        """What the encoder reads off the context, off views, and off the batch with its own changes."""
        whole = self._read(batch)
        context = {name: tensor[:, :-1] for name, tensor in whole.items()}
        changed = {name: change(whole) for name, change in self.encoder_views.items()}
        return {"": context, **changed, **{name: self._read(view) for name, view in views.items()}}

    def _read(self, observations: Observations) -> Reading:
        """The encoder's reading of observations (B, G, …), tensors (B, G, ...)."""
        encoder = self.online.encoder
        assert isinstance(encoder, OffersViews)
        reading = encoder.read(observations.flatten())
        return {name: tensor.unflatten(0, _leading(observations.tensors)) for name, tensor in reading.items()}

    def _embed_together(self, readings: Mapping[str, Reading]) -> tuple[Embeddings, dict[str, torch.Size]]:
        """Embed readings (B, G, ...) in one call of the encoder; their shapes (B, G)."""
        encoder, names = self.online.encoder, readings[""].keys()
        assert isinstance(encoder, OffersViews)
        together = {name: torch.cat([reading[name].flatten(0, 1) for reading in readings.values()]) for name in names}
        return encoder.embed(together), {name: _leading(reading) for name, reading in readings.items()}

    def _views(self, encoded: Embeddings, names: Sequence[str]) -> dict[str, View]:
        """Projections of V views one behind the other (V·B, T+1, N, D), all by the online network."""
        online = self.online
        quantized: Quantized = online.quantize(encoded.values, encoded.mask, collect=False)
        values, mask = quantized.values, encoded.mask
        state = online.state(values[:, :-1], mask[:, :-1])
        target = masked_mean(Embeddings(values[:, -1], mask[:, -1]))
        of_all = online.projector(target), target, online.projector(online.predictor(state)), state
        each = zip(*(tensor.chunk(len(names)) for tensor in of_all), strict=True)
        return {
            name: View(z_target=z_target, target=target, z_context=z_context, state=state)
            for name, (z_target, target, z_context, state) in zip(names, each, strict=True)
        }

    def _target_view(self, encoded: Embeddings) -> TargetView:
        """The same of targets alone (B, 1, N, D)."""
        quantized: Quantized = self.online.quantize(encoded.values, encoded.mask, collect=False)
        target = masked_mean(Embeddings(quantized.values[:, 0], encoded.mask[:, 0]))
        return TargetView(z_target=self.online.projector(target), target=target)


def _equal(observations: Observations, others: Observations) -> Tensor:
    """(B, T, …) and (B, 1, …) to (B, T) bool."""
    equal = [(tensor == others[name]).flatten(2).all(-1) for name, tensor in observations.tensors.items()]
    return torch.stack(equal).all(0)


def _leading(tensors: Mapping[str, Tensor]) -> torch.Size:
    """(B, G)."""
    return next(iter(tensors.values())).shape[:2]


def _joined(shapes: Mapping[str, torch.Size], whole: Sequence[str]) -> dict[str, torch.Size]:
    """Shapes (B, G) of groups, where those named `whole`, which are neighbours, are one group."""
    joined: dict[str, torch.Size] = {}
    for name, (size, num_places) in shapes.items():
        group = _WHOLE if name in whole else name
        joined[group] = torch.Size((joined.get(group, (0,))[0] + size, num_places))
    return joined


def _parted(embeddings: Embeddings, shapes: Mapping[str, torch.Size]) -> dict[str, Embeddings]:
    """Embeddings of groups, one behind the other, by group: (B, G, N, D) for each shape (B, G)."""
    counts = [shape.numel() for shape in shapes.values()]
    neighbours = (None,) * len(counts) if embeddings.neighbours is None else embeddings.neighbours.split(counts)
    parts = zip(shapes.items(), embeddings.values.split(counts), embeddings.mask.split(counts), neighbours, strict=True)
    return {
        name: Embeddings(
            values.unflatten(0, shape),
            mask.unflatten(0, shape),
            None if near is None else near.unflatten(0, shape),
        )
        for (name, shape), values, mask, near in parts
    }


def declared_views(losses: nn.ModuleDict) -> dict[str, ViewTransform]:
    """All views that the losses ask for, by name, each from the whole batch (B, T+1, …); two losses that name one view
    share it."""
    views: dict[str, ViewTransform] = {}
    for loss in losses.values():
        if isinstance(loss, DeclaresViews):
            views |= loss.views()
    return views | {name: _of_targets(view) for name, view in declared_target_views(losses).items()}


def declared_target_views(losses: nn.ModuleDict) -> dict[str, ViewTransform]:
    """Those of them that are of the targets alone, each from (B, 1, …)."""
    views: dict[str, ViewTransform] = {}
    for loss in losses.values():
        if isinstance(loss, DeclaresTargetViews):
            views |= loss.target_views()
    return views


def _of_targets(view: ViewTransform) -> ViewTransform:
    return lambda batch: view(batch[:, -1:])


def encoder_views(encoder: nn.Module, losses: nn.ModuleDict) -> dict[str, ReadingTransform]:
    """All changes of the encoder's reading that the losses ask for, by name.

    Raises:
        RecipeError: the encoder does not offer one of them.
    """
    wanted = {
        view: name
        for name, loss in losses.items()
        if isinstance(loss, AsksForEncoderViews)
        for view in loss.encoder_views()
    }
    if not wanted:
        return {}
    offered = encoder.reading_views() if isinstance(encoder, OffersViews) else {}
    for view, name in wanted.items():
        if view not in offered:
            raise RecipeError(
                f"losses.{name} compares with the batch changed by the encoder ({view}), and this encoder offers "
                f"{'only ' + ', '.join(offered) if offered else 'no such changes'}. Take an encoder that offers it, "
                f"or another loss."
            )
    return {view: offered[view] for view in wanted}
