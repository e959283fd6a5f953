"""Weights over time that fall with age: an exponential moving average of the grids' means, nothing learned.

Shapes: B sequences, T context grids, N tokens of a grid, D embedding dimension.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.facts import AggregatorFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting


@attrs.frozen(kw_only=True)
class RecencyConfig:
    """Mean over the objects of each grid, then weights that fall with age."""

    kind: ClassVar[str] = "recency"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    half_life: float = setting("age at which a weight has halved", default=1.0, above=0, unit="grids")

    def build(self, facts: AggregatorFacts) -> Recency:
        return Recency(facts.context_length, half_life=self.half_life)


class Recency(nn.Module):
    """The last grid counts most; weights sum to one."""

    weights: Tensor
    """(T,), the last grid's last."""

    def __init__(self, context_length: int, *, half_life: float) -> None:
        super().__init__()
        age_T = torch.arange(context_length).flip(0)
        # Softmax of −age · ln 2 / half-life is 0.5 ** (age / half-life), scaled to sum to one without underflow.
        self.register_buffer("weights", torch.softmax(-age_T * (torch.tensor(2.0).log() / half_life), 0))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, N, D) and mask (B, T, N), True where a token is real, to the state (B, D) in float32."""
        total_BTD = torch.where(mask.unsqueeze(-1), values, 0).sum(2, dtype=torch.float32)
        mean_BTD = total_BTD / mask.sum(2).clamp(min=1).unsqueeze(-1)
        return (mean_BTD * self.weights.unsqueeze(-1)).sum(1)

    def time_weights(self, values: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002  # the same for every batch
        """(B, T), each row summing to one; shown in diagnostics."""
        return self.weights.expand(len(values), -1)
