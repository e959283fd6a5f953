"""The seed's learnable temporal attention: a linear layer over time, shared by all embedding dimensions.

With T observations it has T² weights and T biases. It knows nothing of single tokens: it sees each observation's mean
only.

Shapes: B sequences, T context observations, N tokens, D embedding dimension.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
from torch import Tensor, nn

from jepa_core.facts import AggregatorFacts
from jepa_core.metrics import Metric
from jepa_plugins.aggregators.masked_mean import masked_mean


@attrs.frozen(kw_only=True)
class AttentionConfig:
    """Mean over the tokens of each observation, then learned weights over time, one set per dimension."""

    kind: ClassVar[str] = "attention"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: AggregatorFacts) -> Attention:
        return Attention(facts.context_length)


class Attention(nn.Module):
    """Weights are the softmax over time of a linear layer that sees positions, so the order of observations matters."""

    def __init__(self, context_length: int) -> None:
        super().__init__()
        self.scores = nn.Linear(context_length, context_length)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, N, D) and mask (B, T, N) to the state (B, D)."""
        means_BTD = masked_mean(values, mask)
        return (self._weights(means_BTD) * means_BTD).sum(1)

    def time_weights(self, values: Tensor, mask: Tensor) -> Tensor:
        """(B, T): the weight of each observation, averaged over dimensions; each row sums to one."""
        return self._weights(masked_mean(values, mask)).mean(-1)

    def _weights(self, means_BTD: Tensor) -> Tensor:
        scores_BDT: Tensor = self.scores(means_BTD.transpose(1, 2))
        return scores_BDT.float().softmax(-1).transpose(1, 2)
