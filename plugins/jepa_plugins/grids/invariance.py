"""Invariance: embeddings shall not change when colours are exchanged, or content is moved or mirrored.

A positive-pair term as in SimCLR (Chen et al., arXiv 2002.05709), without negatives: mean of 1 − cos between the
embedding of the batch and of its transformed copy, on the context and on the target side. Declares the transformed
copies it needs; the engine encodes them in the same pass. Nothing here keeps embeddings from collapsing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Forward, LossTerm, Observations, Space, View, ViewTransform
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.grids import transforms
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.losses.unit_length import unit_length


@attrs.frozen(kw_only=True)
class InvarianceConfig:
    """Equal embeddings for exchanged colours, moved and mirrored content."""

    kind: ClassVar[str] = "invariance"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("invariance.colours", "mean of 1 − cos to the batch with exchanged colours", "lower", maximum=2),
        Metric("invariance.translation", "mean of 1 − cos to the batch with moved content", "lower", maximum=2),
        Metric("invariance.flips", "mean of 1 − cos to the mirrored batch", "lower", maximum=2),
    )
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    colours: float = setting("weight of exchanged colours other than 0; 0 makes no such copy", default=0.1, at_least=0)
    translation: float = setting("weight of moved content; 0 makes no such copy", default=0.05, at_least=0)
    translation_max: float = setting("farthest move, as a share of the grid's side", default=0.1, above=0, at_most=1)
    flips: float = setting("weight of mirrored grids; 0 makes no such copy", default=0.05, at_least=0)

    def __attrs_post_init__(self) -> None:
        if not (self.colours or self.translation or self.flips):
            raise ValueError("one of colours, translation, flips must be > 0 (all are 0): else leave the loss out")

    def build(self, facts: LossFacts) -> Invariance:  # noqa: ARG002  # dimensions are read off the embeddings
        return Invariance(self)


class Invariance(nn.Module):
    """Weighted sum over the views of the mean of 1 − cos."""

    def __init__(self, config: InvarianceConfig) -> None:
        super().__init__()
        self.config = config
        weights = {"colours": config.colours, "translation": config.translation, "flips": config.flips}
        self.weights = {name: weight for name, weight in weights.items() if weight}

    def views(self) -> Mapping[str, ViewTransform]:
        """The transformed copies this loss compares with, those of weight 0 left out."""
        offered: dict[str, ViewTransform] = {
            "colours": _exchange_colours,
            "translation": self._move_content,
            "flips": _mirror,
        }
        return {name: offered[name] for name in self.weights}

    def forward(self, forward: Forward) -> LossTerm:
        """Each view's projections against the batch's own; on the target side against the EMA network's."""
        with torch.autocast(device_type=forward.z_context.device.type, enabled=False):
            unchanged_2BP = unit_length(_sides(forward))
            changed_V2BP = unit_length(torch.stack([_sides(forward.views[name]) for name in self.weights]))
            cosines_V = (changed_V2BP * unchanged_2BP).sum(-1).mean((1, 2))
            distances = dict(zip(self.weights, (1 - cosines_V).unbind(), strict=True))
            value = torch.stack([weight * distances[name] for name, weight in self.weights.items()]).sum()
        return LossTerm(value=value, figures={f"invariance.{name}": d.detach() for name, d in distances.items()})

    def _move_content(self, batch: Observations) -> Observations:
        grids, sizes = transforms.random_translation(batch["grid"], batch["size"], self.config.translation_max)
        return Observations({"grid": grids, "size": sizes})


def _exchange_colours(batch: Observations) -> Observations:
    permutation = transforms.random_colour_permutation(len(batch), batch.device)
    return Observations({"grid": transforms.permute_colours(batch["grid"], permutation), "size": batch["size"]})


def _mirror(batch: Observations) -> Observations:
    """Left and right, top and bottom, or both: never neither, which would compare a grid with itself."""
    which = torch.randint(1, 4, (len(batch),), device=batch.device)
    grids, sizes = transforms.flip(batch["grid"], batch["size"], which % 2 == 1, which >= 2)
    return Observations({"grid": grids, "size": sizes})


def _sides(embedded: Forward | View) -> Tensor:
    """(2, B, P): context and target."""
    return torch.stack([embedded.z_context, embedded.z_target])
