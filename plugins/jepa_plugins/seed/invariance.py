"""The seed's invariance: the state shall not change when what the encoder has read of its objects does.

Mean squared difference of the state (B, D) of changed and unchanged context, and of the masked mean of the changed
target grid, by the online network, and of the unchanged one, by the EMA network. The changes are the encoder's own:
exchanged colours, each object moved on its own, mirrored places. Nothing here keeps embeddings from collapsing.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import nn

from jepa_core.contracts import Forward, LossTerm
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting


@attrs.frozen(kw_only=True)
class SeedInvarianceConfig:
    """Equal states for objects of exchanged colours, moved and mirrored objects."""

    kind: ClassVar[str] = "seed_invariance"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    colours: float = setting("weight of exchanged colours; 0 makes no such copy", default=0.1, at_least=0)
    translation: float = setting("weight of moved objects; 0 makes no such copy", default=0.05, at_least=0)
    flips: float = setting("weight of mirrored objects; 0 makes no such copy", default=0.05, at_least=0)

    def __attrs_post_init__(self) -> None:
        if not (self.colours or self.translation or self.flips):
            raise ValueError("one of colours, translation, flips must be > 0 (all are 0): else leave the loss out")

    def build(self, facts: LossFacts) -> SeedInvariance:  # noqa: ARG002  # dimensions are read off the embeddings
        return SeedInvariance(self)


class SeedInvariance(nn.Module):
    """Weighted sum over the views of the mean squared differences on context and target side."""

    def __init__(self, config: SeedInvarianceConfig) -> None:
        super().__init__()
        weights = {"colours": config.colours, "translation": config.translation, "flips": config.flips}
        self.weights = {name: weight for name, weight in weights.items() if weight}

    def encoder_views(self) -> tuple[str, ...]:
        """The encoder's changes that this loss compares with, those of weight 0 left out."""
        return tuple(self.weights)

    def forward(self, forward: Forward) -> LossTerm:
        """Each view's state and target (B, D) against the batch's own."""
        state, target = forward.state.float(), forward.target.detach().float()
        with torch.autocast(device_type=state.device.type, enabled=False):
            terms = [
                weight * (F.mse_loss(view.state.float(), state) + F.mse_loss(view.target.float(), target))
                for view, weight in ((forward.views[name], weight) for name, weight in self.weights.items())
            ]
            return LossTerm(value=torch.stack(terms).sum())
