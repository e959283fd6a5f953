"""A transformer over patches of time (PatchTST, arXiv 2211.14730): each patch of steps is embedded with all channels.

Other than there channels are embedded together, since what they do together may be what is to be told, and values are
taken as they are: a series' own level and scale may say what follows.

Shapes: M series of L steps and C channels, patches of P steps, N = ⌈L / P⌉ patches, D dimension.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Observations, Space
from jepa_core.facts import EncoderFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.transformer import TransformerBlock, check_heads, self_attended

_LONGEST_PERIOD = 10_000.0
"""Of the slowest position signal, over 2 π, in patches."""


@attrs.frozen(kw_only=True)
class SeriesEncoderConfig:
    """Transformer over patches of time, all channels of a patch together."""

    kind: ClassVar[str] = "series"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (SeriesSpace,)

    dim: int = setting("embedding dimension", default=128, at_least=1)
    layers: int = setting("transformer layers; 0 leaves patches on their own", default=2, at_least=0)
    heads: int = setting("attention heads; divides dim", default=4, at_least=1)
    patch: int = setting("steps of a patch; the last is filled up with zeros", default=8, at_least=1, unit="steps")
    mlp_ratio: float = setting("width of a layer's MLP, relative to dim", default=2.0, above=0)
    dropout: float = setting("dropout in attention and MLP", default=0.0, at_least=0, below=1)

    def __attrs_post_init__(self) -> None:
        check_heads(self.dim, self.heads)

    def build(self, facts: EncoderFacts) -> SeriesEncoder:
        return SeriesEncoder(self, facts)


class SeriesEncoder(nn.Module):
    """Every patch is a token."""

    positions: Tensor

    def __init__(self, config: SeriesEncoderConfig, facts: EncoderFacts) -> None:
        super().__init__()
        self.patch = config.patch
        self.embedding_dim = config.dim
        self.num_tokens = math.ceil(facts.space.length / config.patch)
        self.missing = self.num_tokens * config.patch - facts.space.length
        self.embed = nn.Linear(config.patch * facts.space.channels, config.dim)
        self.register_buffer("positions", sin_cos_positions(self.num_tokens, config.dim), persistent=False)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.dim, heads=config.heads, dropout=config.dropout, mlp_ratio=config.mlp_ratio)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)

    def patches(self, values_MLC: Tensor) -> Tensor:
        """(M, N, P · C), in order of time; zeros after the last step."""
        padded_MLC = F.pad(values_MLC, (0, 0, 0, self.missing))
        patches_MNF: Tensor = padded_MLC.unflatten(1, (self.num_tokens, self.patch)).flatten(2)
        return patches_MNF

    def forward(self, observations: Observations) -> Embeddings:
        """Observations `values` (M, L, C) to tokens (M, N, D), in order of time, all real."""
        stream_MND = self.embed(self.patches(observations["values"])) + self.positions
        mask = torch.ones(stream_MND.shape[:2], dtype=torch.bool, device=stream_MND.device)
        return Embeddings(self_attended(self.blocks, stream_MND, mask.unsqueeze(1), self.norm), mask)


def sin_cos_positions(count: int, dim: int) -> Tensor:
    """(count, dim): sines and cosines of falling frequencies, in turn (arXiv 1706.03762, section 3.5)."""
    pair = torch.arange((dim + 1) // 2)
    angles = torch.arange(count)[:, None] * _LONGEST_PERIOD ** (-2 * pair / dim)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :dim]
