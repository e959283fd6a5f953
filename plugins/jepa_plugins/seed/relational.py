"""The seed's relational loss: squared distances of adjacent objects shall be the same, object by object.

With d²_ij the squared distance of a grid's quantized objects i and j where their boxes overlap or touch, and zero in
all other entries, the objective gains

    weight               × the mean over B × N × N entries of (mean over context grids of d² − target's d²)²
    context_self_weight  × the mean over B × T × N × N entries of (a context grid's d² − their mean)²

It grows with the fourth power of the embeddings' scale, pairs objects by their index, and is the smaller the emptier
the grids. `jepa_plugins.losses.relational` is the loss without these. An encoder that names no neighbours has all pairs
of real tokens compared. Without its weight the value is that sum over `weight`.

Shapes: B sequences, T context grids, N tokens, D embedding dimension.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Forward, LossTerm
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting


@attrs.frozen(kw_only=True)
class SeedRelationalConfig:
    """Squared differences of the squared distances of adjacent objects, paired by index."""

    kind: ClassVar[str] = "seed_relational"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    context_self_weight: float = setting(
        "factor of the context grids' spread in the objective, where `weight` is that of context against target",
        default=0.25,
        at_least=0,
    )

    def build(self, facts: LossFacts) -> SeedRelational:
        return SeedRelational(self.context_self_weight / facts.weight if facts.weight else 0.0)


class SeedRelational(nn.Module):
    """Compares distances among objects, with a gradient through the context grids."""

    def __init__(self, context_share: float) -> None:
        super().__init__()
        self.context_share = context_share

    def forward(self, forward: Forward) -> LossTerm:
        """Quantized context tokens (B, T, N, D) against their mean and against target tokens (B, N, D)."""
        context = forward.context_embeddings
        with torch.autocast(device_type=forward.z_context.device.type, enabled=False):
            of_grids_BTNN = adjacent_distances(
                Embeddings(forward.context_quantized.values, context.mask, context.neighbours)
            )
            of_target_BNN = adjacent_distances(forward.target_tokens).detach()
            mean_BNN = of_grids_BTNN.mean(1)
            to_target = (mean_BNN - of_target_BNN).square().mean()
            to_mean = (of_grids_BTNN - mean_BNN[:, None]).square().mean()
        return LossTerm(value=to_target + self.context_share * to_mean)


def adjacent_distances(tokens: Embeddings) -> Tensor:
    """Tokens (..., N, D) to d² (..., N, N) in float32; zero where i and j are no neighbours, or not real."""
    mask = tokens.mask
    is_pair = mask[..., :, None] & mask[..., None, :]
    if tokens.neighbours is not None:
        is_pair = is_pair & tokens.neighbours
    values = torch.where(mask[..., None], tokens.values.float(), 0.0)
    # Centred, the tokens are smaller and so is the rounding of what cancels below.
    centred = values - values.sum(-2, keepdim=True) / mask.sum(-1).clamp(min=1)[..., None, None]
    gram = centred @ centred.transpose(-2, -1)
    squares = gram.diagonal(dim1=-2, dim2=-1)
    distances = (squares[..., :, None] + squares[..., None, :] - 2 * gram).clamp(min=0)
    return torch.where(is_pair, distances, 0.0)
