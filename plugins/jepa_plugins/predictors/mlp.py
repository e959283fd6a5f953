"""A residual MLP from the state of the context to the predicted embedding of the next observation.

The asymmetry of a predictor on the online side is that of BYOL (arXiv 2006.07733) and I-JEPA (arXiv 2301.08243).
It sees the state alone, neither tokens nor actions.
"""

from __future__ import annotations

from itertools import chain, pairwise, repeat
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.facts import PredictorFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting

_INITIAL_STEP = 0.01
"""Scale of the last layer at the start: near identity, yet with a gradient for every layer from the first step."""


@attrs.frozen(kw_only=True)
class MlpConfig:
    """Residual MLP that starts near identity."""

    kind: ClassVar[str] = "mlp"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    layers: int = setting("linear layers", default=2, at_least=1)
    hidden_factor: float = setting("width of hidden layers, relative to the embedding's", default=2.0, above=0)
    dropout: float = setting("dropout after each hidden layer", default=0.0, at_least=0, below=1)

    def build(self, facts: PredictorFacts) -> Mlp:
        hidden_dim = max(1, round(self.hidden_factor * facts.embedding_dim))
        return Mlp(facts.embedding_dim, hidden_dim=hidden_dim, layers=self.layers, dropout=self.dropout)


class Mlp(nn.Module):
    """`state + change(LayerNorm(state))`, with GELU between the linear layers."""

    def __init__(self, embedding_dim: int, *, hidden_dim: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = chain([embedding_dim], repeat(hidden_dim, layers - 1))
        hidden = [
            nn.Sequential(nn.Linear(width, next_width), nn.GELU(), nn.Dropout(dropout))
            for width, next_width in pairwise(widths)
        ]
        output = nn.Linear(hidden_dim if layers > 1 else embedding_dim, embedding_dim)
        with torch.no_grad():
            output.weight.mul_(_INITIAL_STEP)
            output.bias.zero_()
        self.change = nn.Sequential(nn.LayerNorm(embedding_dim), *hidden, output)

    def forward(self, state: Tensor) -> Tensor:
        """State (B, D) to the predicted embedding (B, D)."""
        change: Tensor = self.change(state)
        return state + change
