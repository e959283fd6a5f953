"""A vision transformer over patches of pixels (arXiv 2010.11929), with 2-D positions.

Positions are fixed sines and cosines of row and column as in MAE (arXiv 2111.06377), or learned. They are added to what
a patch shows; the mean of the tokens says where things are by what the blocks make of both, and without a block it says
only which patches there are.

Shapes: M images of C channels and H × W pixels, patches of P × P pixels, N patches, D dimension.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Observations, Space
from jepa_core.facts import EncoderFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.images.space import ImageSpace
from jepa_plugins.transformer import TransformerBlock, check_heads, self_attended

_POSITION_STD = 0.02
"""Of learned positions at the start, as in ViT."""

_LONGEST_WAVE = 10_000.0
"""Of the positions, over 2π (arXiv 1706.03762)."""


@attrs.frozen(kw_only=True)
class VitConfig:
    """Vision transformer over patches of pixels, with 2-D positions."""

    kind: ClassVar[str] = "vit"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (ImageSpace,)

    dim: int = setting("embedding dimension; a multiple of 4 for sincos positions", default=128, at_least=1)
    layers: int = setting("transformer layers; 0 leaves patches on their own", default=3, at_least=0)
    heads: int = setting("attention heads; divides dim", default=4, at_least=1)
    patch: int = setting("side of a patch", default=4, at_least=1, unit="pixels")
    positions: Literal["sincos", "learned"] = setting(
        "fixed sines and cosines of row and column, or a learned vector for each patch",
        default="sincos",
        choices=("sincos", "learned"),
    )
    dropout: float = setting("dropout in attention and MLP", default=0.0, at_least=0, below=1)
    mlp_ratio: float = setting("width of a layer's MLP, relative to dim", default=4.0, above=0)

    def __attrs_post_init__(self) -> None:
        check_heads(self.dim, self.heads)
        if self.positions == "sincos" and self.dim % 4 != 0:
            raise ValueError(
                f"dim must be a multiple of 4 for positions = 'sincos', a sine and a cosine of each row and column "
                f"(got {self.dim})"
            )

    def build(self, facts: EncoderFacts) -> VisionTransformer:
        return VisionTransformer(self, facts.space)


class VisionTransformer(nn.Module):
    """Every patch is a token."""

    positions: Tensor

    def __init__(self, config: VitConfig, space: ImageSpace) -> None:
        super().__init__()
        self.patch = config.patch
        num_rows, num_columns = math.ceil(space.height / config.patch), math.ceil(space.width / config.patch)
        self.padding = (0, num_columns * config.patch - space.width, 0, num_rows * config.patch - space.height)
        self.embedding_dim = config.dim
        self.num_tokens = num_rows * num_columns
        self.embed = nn.Linear(space.channels * config.patch**2, config.dim)
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.randn(self.num_tokens, config.dim).mul_(_POSITION_STD))
        else:
            self.register_buffer("positions", sincos_positions(num_rows, num_columns, config.dim), persistent=False)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.dim, heads=config.heads, dropout=config.dropout, mlp_ratio=config.mlp_ratio)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, observations: Observations) -> Embeddings:
        """`pixels` (M, C, H, W) to tokens (M, N, D), patches in scan order."""
        pixels = observations["pixels"]
        stream = self.embed(patches_of(F.pad(pixels, self.padding), self.patch)) + self.positions
        is_seen = torch.ones(1, 1, self.num_tokens, dtype=torch.bool, device=pixels.device)
        mask = torch.ones(stream.shape[:2], dtype=torch.bool, device=pixels.device)
        return Embeddings(self_attended(self.blocks, stream, is_seen, self.norm), mask)


def patches_of(pixels: Tensor, patch: int) -> Tensor:
    """(M, C, H, W), sides that P divides, to (M, N, C·P·P): patches in scan order, each channel by channel."""
    num_rows, num_columns = (side // patch for side in pixels.shape[2:])
    blocks = pixels.unflatten(3, (num_columns, patch)).unflatten(2, (num_rows, patch))
    patches: Tensor = blocks.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    return patches


def sincos_positions(num_rows: int, num_columns: int, dim: int) -> Tensor:
    """(N, D) of patches in scan order: sines and cosines of the column, then of the row, as in MAE."""
    frequencies = _LONGEST_WAVE ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    waves = []
    for places in (
        torch.arange(num_columns).repeat(num_rows),
        torch.arange(num_rows).repeat_interleave(num_columns),
    ):
        angles = places[:, None].double() * frequencies
        waves += [angles.sin(), angles.cos()]
    return torch.cat(waves, dim=1).float()
