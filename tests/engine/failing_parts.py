"""A local plugin with parts that fail while they train: an aggregator that breaks, a quantizer that merges all tokens.

Both count in buffers, so that a run that is resumed fails at the same step.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Quantized, Statistics
from jepa_core.hookspecs import hookimpl
from jepa_core.metrics import Metric
from jepa_core.settings import setting


@attrs.frozen(kw_only=True)
class FragileConfig:
    """Weights over tokens, until it gives NaN."""

    kind: ClassVar[str] = "fragile"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    breaks_after: int = setting("training passes, four a step with all views", default=68)

    def build(self, facts: Any) -> nn.Module:
        return Fragile(facts.embedding_dim, self.breaks_after)


class Fragile(nn.Module):
    """Tokens (B, T, N, D) to (B, D)."""

    def __init__(self, dim: int, breaks_after: int) -> None:
        super().__init__()
        self.breaks_after = breaks_after
        self.score = nn.Linear(dim, 1)
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        passes: Tensor = self.passes  # type: ignore[assignment]  # a buffer
        if self.training:
            passes += 1
        scores = self.score(values).squeeze(-1).masked_fill(~mask, -1e4).flatten(1)
        state = (scores.softmax(-1)[..., None] * values.flatten(1, 2)).sum(1)
        return torch.where(passes > self.breaks_after, torch.full_like(state, torch.nan), state)


@attrs.frozen(kw_only=True)
class MergingConfig:
    """Leaves tokens as they are, until it makes all of them one."""

    kind: ClassVar[str] = "merging"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    merges_after: int = setting("steps", default=7)

    def build(self, facts: Any) -> nn.Module:
        return Merging(self.merges_after)


class Merging(nn.Module):
    """Tokens (..., N, D) to the same shape."""

    num_codes = 0

    def __init__(self, merges_after: int) -> None:
        super().__init__()
        self.merges_after = merges_after
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        steps: Tensor = self.steps  # type: ignore[assignment]  # a buffer
        merged = torch.where(steps >= self.merges_after, torch.ones_like(values), values) * mask[..., None]
        statistics = Statistics(sums={"steps": torch.ones((), dtype=torch.int64)}) if collect else Statistics()
        return Quantized(merged, None, values.new_zeros(()), statistics)

    def after_step(self, statistics: Statistics) -> None:
        steps: Tensor = self.steps  # type: ignore[assignment]  # a buffer
        steps += 1


@hookimpl
def jepa_aggregators() -> list[type[Any]]:
    return [FragileConfig]


@hookimpl
def jepa_quantizers() -> list[type[Any]]:
    return [MergingConfig]
