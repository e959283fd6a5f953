"""The aggregator that sees only the last observation: what a model of the rule has to beat."""

from __future__ import annotations

from typing import ClassVar

import attrs
from torch import Tensor, nn

from jepa_core.facts import AggregatorFacts
from jepa_core.metrics import Metric
from jepa_plugins.aggregators.masked_mean import masked_mean


@attrs.frozen(kw_only=True)
class LastConfig:
    """Mean over the tokens of the last observation; the observations before it are ignored."""

    kind: ClassVar[str] = "last"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, _facts: AggregatorFacts) -> Last:
        return Last()


class Last(nn.Module):
    """The state is the last observation's masked mean."""

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, N, D) and mask (B, T, N) to the state (B, D)."""
        return masked_mean(values[:, -1], mask[:, -1])
