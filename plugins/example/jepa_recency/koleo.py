"""KoLeo: embeddings of a batch shall lie far from their nearest neighbours, so that they fill the sphere.

The Kozachenko–Leonenko estimate of differential entropy as a regulariser: Sablayrolles, Douze, Schmid & Jégou,
"Spreading vectors for similarity search", arXiv 1806.03198; used on embeddings of self-supervised learning by
DINOv2 (Oquab et al., arXiv 2304.07193). It knows nothing of targets.

Shapes: B sequences, those of all ranks together, P projection dimension.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.contracts import Forward, LossTerm
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting

_SHORTEST = 1e-4
"""Embeddings shorter than this are not scaled up to unit length: their gradient would grow without bound."""

_ITSELF = -2.0
"""Stands for an embedding's similarity to itself: below every cosine."""


@attrs.frozen(kw_only=True)
class KoleoConfig:
    """Distance of each predicted embedding to its nearest neighbour in the batch."""

    kind: ClassVar[str] = "koleo"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("koleo.nearest", "mean distance to the nearest embedding of the batch", "higher", minimum=0, maximum=2),
    )

    softening: float = setting(
        "distance at which the push is strongest; bounds it between equal embeddings", default=1e-3, above=0, at_most=2
    )

    def build(self, facts: LossFacts) -> Koleo:  # noqa: ARG002  # dimensions are read off the embeddings
        return Koleo(self.softening)


class Koleo(nn.Module):
    """Minus the mean log distance to the nearest neighbour, on the unit sphere; zero for a batch of one."""

    def __init__(self, softening: float) -> None:
        super().__init__()
        self.softening = softening

    def forward(self, forward: Forward) -> LossTerm:
        """`z_context` (B, P), of any length."""
        with torch.autocast(device_type=forward.z_context.device.type, enabled=False):
            z_BP = F.normalize(forward.crew.gathered(forward.z_context.float()), dim=-1, eps=_SHORTEST)
            squared_B = (z_BP - z_BP[_nearest(z_BP)]).square().sum(-1)
            entropy = (squared_B + self.softening**2).log().mean() / 2
            # A lone embedding is its own neighbour: no push, and a gradient of zero.
            value = -entropy if len(z_BP) > 1 else 0 * entropy
        return LossTerm(value=value, figures={"koleo.nearest": squared_B.detach().sqrt().mean()})


def _nearest(z_BP: Tensor) -> Tensor:
    """(B,) int64: for each embedding the most similar of the others; itself when there is no other."""
    similarity_BB = (z_BP @ z_BP.T).detach()
    itself_BB = torch.eye(len(z_BP), dtype=torch.bool, device=z_BP.device)
    return similarity_BB.masked_fill(itself_BB, _ITSELF).argmax(1)
