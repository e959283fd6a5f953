"""Contrast of two looks at one target: its embedding from a transformed copy against those of the batch's targets.

As in MoCo (He et al., arXiv 1911.05722), with the batch, on however many ranks, in place of a queue: the online network
sees the target through the recipe's augmentations, the EMA network sees it as it is, and the two shall be nearer to
each other than to any other sequence's target. What the augmentations change is what the embedding learns to leave out:
that is how classes come about without labels (SimCLR, Chen et al., arXiv 2002.05709). Compared before the projector,
where embeddings are used after training. Does not know predictions.

Shapes: B sequences, C sequences of all ranks that share the batch, D embedding dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import nn

from jepa_core.contracts import Forward, LossTerm, Observations, ViewTransform
from jepa_core.errors import RecipeError
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.losses.unit_length import unit_length


@attrs.frozen(kw_only=True)
class ViewContrastConfig:
    """A target's embedding recognised through the recipe's augmentations, among the batch's targets."""

    kind: ClassVar[str] = "view_contrast"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "view_contrast.top1",
            "share of transformed targets that are nearest to their own",
            "higher",
            minimum=0,
            maximum=1,
        ),
    )

    augmentations: tuple[str, ...] = setting(
        "names of [augmentation] tables, applied one after the other; one with enabled = false changes this view and "
        "no batch. When it names none: all that are enabled",
        default=(),
    )
    temperature: float = setting("similarities are divided by it", default=0.1, above=0)

    def build(self, facts: LossFacts) -> ViewContrast:
        """Take the augmentations from the recipe.

        Raises:
            RecipeError: the recipe has none, or not one that is named.
        """
        names = self.augmentations or tuple(facts.augmentations)
        there = ", ".join(facts.augmentations) or "none"
        for name in names:
            if name not in facts.augmentations:
                raise RecipeError(
                    f"view_contrast looks at targets through [augmentation.{name}], which the recipe does not have. "
                    f"It has: {there}. Add the table, or take the name out of augmentations."
                )
        if not names:
            raise RecipeError(
                "view_contrast looks at targets through augmentations, and the recipe has none that is enabled. "
                'Name some in augmentations = ["NAME"]; their tables may say enabled = false, so that batches stay as '
                "they are."
            )
        return ViewContrast(self, {name: facts.augmentations[name] for name in names})


class ViewContrast(nn.Module):
    """Mean over the batch of −log softmax of the own target among all targets."""

    def __init__(self, config: ViewContrastConfig, augmentations: Mapping[str, ViewTransform]) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.augmentations = dict(augmentations)
        self.view_name = "target through " + " and ".join(augmentations)

    def target_views(self) -> Mapping[str, ViewTransform]:
        """One view: through all augmentations."""

        def through(targets: Observations) -> Observations:
            for change in self.augmentations.values():
                targets = change(targets)
            return targets

        return {self.view_name: through}

    def forward(self, forward: Forward) -> LossTerm:
        """The view's target (B, D), with gradient, against the EMA network's (B, D)."""
        with torch.autocast(device_type=forward.target.device.type, enabled=False):
            seen_BD, crew = unit_length(forward.target_views[self.view_name].target), forward.crew
            keys_CD = crew.gather(unit_length(forward.target.detach()))
            logits_BC = seen_BD @ keys_CD.T / self.temperature
            own_B = torch.arange(len(seen_BD), device=keys_CD.device) + crew.rank * len(seen_BD)
            value = F.cross_entropy(logits_BC, own_B)
        top1 = (logits_BC.detach().argmax(1) == own_B).float().mean()
        return LossTerm(value=value, figures={"view_contrast.top1": top1})
