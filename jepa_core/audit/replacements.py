"""What takes the place of a part: an aggregator that only averages, a quantizer that does nothing.

They are the engine's own, so that an audit needs no plugin to be installed beside those of the recipe.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Quantized, Statistics
from jepa_core.facts import AggregatorFacts, QuantizerFacts
from jepa_core.metrics import Metric


@attrs.frozen(kw_only=True)
class AverageConfig:
    """Mean over the tokens of each observation, then over time."""

    kind: ClassVar[str] = "mean"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: AggregatorFacts) -> Average:  # noqa: ARG002  # dimensions are read off the tokens
        return Average()


class Average(nn.Module):
    """The aggregator without a say: observations count alike, whatever their order."""

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, N, D) and mask (B, T, N) to the state (B, D)."""
        weights = mask.unsqueeze(-1).to(values.dtype)
        return ((values * weights).sum(-2) / weights.sum(-2).clamp(min=1)).mean(1)


@attrs.frozen(kw_only=True)
class UnquantizedConfig:
    """Tokens as they are."""

    kind: ClassVar[str] = "none"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: QuantizerFacts) -> Unquantized:  # noqa: ARG002  # dimensions are read off the tokens
        return Unquantized()


class Unquantized(nn.Module):
    """The quantizer without codes."""

    num_codes = 0

    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:  # noqa: ARG002  # no statistics
        """Tokens (..., N, D) to themselves."""
        zero = torch.zeros((), device=values.device)
        return Quantized(values=values, codes=None, loss=zero, statistics=Statistics())
