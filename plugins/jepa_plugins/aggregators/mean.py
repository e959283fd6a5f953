"""The baseline aggregator: the mean over tokens, then over time. It knows nothing of the order of the observations."""

from __future__ import annotations

from typing import ClassVar

import attrs
from torch import Tensor, nn

from jepa_core.facts import AggregatorFacts
from jepa_core.metrics import Metric
from jepa_plugins.aggregators.masked_mean import masked_mean


@attrs.frozen(kw_only=True)
class MeanConfig:
    """Mean over the tokens of each observation, then mean over the observations; blind to their order."""

    kind: ClassVar[str] = "mean"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, _facts: AggregatorFacts) -> Mean:
        return Mean()


class Mean(nn.Module):
    """Every observation weighs the same, however many tokens it has; an observation without tokens counts as zeros."""

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, N, D) and mask (B, T, N) to the state (B, D)."""
        return masked_mean(values, mask).mean(1)
