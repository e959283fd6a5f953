"""Attention over the tokens of all context observations, on top of a straight line through the last two.

In the space of the observations' means the state starts as last + (last − the one before): the next point if the same
step is made once more, as analogies are made from differences of embeddings (Mikolov et al., arXiv 1301.3781; for
actions on images, arXiv 1912.11570). What attention adds starts near zero, and learns where the line is wrong: rings
that close, objects that each go their own way.

Shapes: B sequences, T context observations, N tokens of an observation, D embedding dimension.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
from torch import Tensor

from jepa_core.errors import RecipeError
from jepa_core.facts import AggregatorFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.aggregators.attention_pool import AttentionPool, AttentionPoolConfig, Queries
from jepa_plugins.aggregators.masked_mean import masked_mean


@attrs.frozen(kw_only=True)
class ExtrapolationConfig:
    """The last step made once more, and attention over all tokens of all observations on top."""

    kind: ClassVar[str] = "extrapolation"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    queries: Queries = setting(
        "what looks at the tokens: a learned summary; also the last observation's tokens; or all (self-attention)",
        default="all",
        choices=("summary", "last", "all"),
    )
    layers: int = setting("attention blocks", default=2, at_least=1)
    heads: int = setting("attention heads; divides the embedding dimension", default=4, at_least=1)
    mlp_ratio: float = setting("width of a block's MLP, relative to the embedding's", default=2.0, above=0)
    dropout: float = setting("dropout in attention and MLP", default=0.0, at_least=0, below=1)

    def build(self, facts: AggregatorFacts) -> Extrapolation:
        if facts.embedding_dim % self.heads != 0:
            raise RecipeError(
                f"aggregator.heads must divide the embedding dimension {facts.embedding_dim} (got {self.heads}). "
                "Change aggregator.heads or the encoder's dimension."
            )
        attention = AttentionPoolConfig(**attrs.asdict(self))
        return Extrapolation(attention, facts.embedding_dim, facts.context_length)


class Extrapolation(AttentionPool):
    """`attention_pool` that starts from a line, not from the last observation; a single one is its own continuation."""

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, N, D) and mask (B, T, N) to the state (B, D)."""
        return continued(masked_mean(values, mask)) + self.change(values, mask)


def continued(grids_BTD: Tensor) -> Tensor:
    """(B, D): the point after the last two of (B, T, D) on their line, 2 × last − the one before."""
    last_BD = grids_BTD[:, -1]
    return last_BD if grids_BTD.shape[1] == 1 else 2 * last_BD - grids_BTD[:, -2]
