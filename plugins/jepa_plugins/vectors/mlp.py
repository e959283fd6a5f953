"""A residual MLP over vectors (pre-norm, as a transformer's own MLP): each vector becomes one token.

Shapes: M vectors of F numbers, D dimension.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Observations, Space
from jepa_core.facts import EncoderFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.vectors.space import VectorSpace


@attrs.frozen(kw_only=True)
class MlpEncoderConfig:
    """Residual MLP over vectors: one token of each."""

    kind: ClassVar[str] = "mlp"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (VectorSpace,)

    dim: int = setting("embedding dimension", default=128, at_least=1)
    layers: int = setting("residual layers; 0 leaves a linear map", default=2, at_least=0)
    mlp_ratio: float = setting("width of a layer, relative to dim", default=2.0, above=0)
    dropout: float = setting("dropout after each layer", default=0.0, at_least=0, below=1)

    def build(self, facts: EncoderFacts) -> MlpEncoder:
        return MlpEncoder(self, facts)


class MlpEncoder(nn.Module):
    """A linear map, residual layers and a LayerNorm. What enters is not normalised: its length says something."""

    def __init__(self, config: MlpEncoderConfig, facts: EncoderFacts) -> None:
        super().__init__()
        self.embedding_dim = config.dim
        self.num_tokens = 1
        hidden_dim = max(1, round(config.mlp_ratio * config.dim))
        self.embed = nn.Linear(facts.space.dim, config.dim)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(config.dim),
                nn.Linear(config.dim, hidden_dim),
                nn.GELU(),
                nn.Linear(hidden_dim, config.dim),
                nn.Dropout(config.dropout),
            )
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, observations: Observations) -> Embeddings:
        """Observations `values` (M, F) to tokens (M, 1, D), all real."""
        stream_MD: Tensor = self.embed(observations["values"])
        for layer in self.layers:
            stream_MD = stream_MD + layer(stream_MD)
        mask = torch.ones(stream_MD.shape[0], 1, dtype=torch.bool, device=stream_MD.device)
        return Embeddings(self.norm(stream_MD).unsqueeze(1), mask)
