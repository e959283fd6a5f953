"""A vision transformer over cells or patches of cells (arXiv 2010.11929), with 2-D positions.

Content and position are multiplied, as in holographic and vector-symbolic codes (arXiv 2001.11797), not added: the
mean of the tokens then still says which colour is where, and two grids' means are about as similar as they have equal
patches in equal places, before any training. Sums would lose that: the mean of (content + position) is a histogram.

It knows nothing of objects. Shapes: M grids of H × W cells, patches of P × P cells, N patches, D dimension.
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
from jepa_plugins.grids.colours import NUM_COLOURS, OUTSIDE
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.transformer import TransformerBlock, check_heads, self_attended

_SIZE_STD = 0.1
"""All tokens of a grid share its size, so it survives the mean whole where content averages out: it starts small."""

_INITIAL_STEP = 0.1
"""Scale of what a layer adds at the start: the tokens begin near content × position, and keep its properties."""


@attrs.frozen(kw_only=True)
class CellsConfig:
    """Vision transformer over patches of cells, with 2-D positions."""

    kind: ClassVar[str] = "cells"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    dim: int = setting("embedding dimension", default=128, at_least=1)
    layers: int = setting("transformer layers; 0 leaves patches on their own", default=2, at_least=0)
    heads: int = setting("attention heads; divides dim", default=4, at_least=1)
    stem: int = setting("3 × 3 convolutions over patches before the transformer", default=0, at_least=0)
    dropout: float = setting("dropout in attention and MLP", default=0.0, at_least=0, below=1)
    patch: int = setting("side of a patch; 1 makes every cell a token", default=1, at_least=1, unit="cells")
    mlp_ratio: float = setting("width of a layer's MLP, relative to dim", default=2.0, above=0)

    def __attrs_post_init__(self) -> None:
        check_heads(self.dim, self.heads)

    def build(self, facts: EncoderFacts) -> CellEncoder:
        return CellEncoder(self, facts)


class CellEncoder(nn.Module):
    """A patch that lies wholly outside its grid is no token."""

    def __init__(self, config: CellsConfig, facts: EncoderFacts) -> None:
        super().__init__()
        self.embed = BoundPatches(config.dim, config.patch, config.stem, facts)
        self.embedding_dim = config.dim
        self.num_tokens = self.embed.num_rows * self.embed.num_columns
        self.blocks = nn.ModuleList(
            TransformerBlock(
                config.dim,
                heads=config.heads,
                dropout=config.dropout,
                mlp_ratio=config.mlp_ratio,
                initial_step=_INITIAL_STEP,
            )
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, observations: Observations) -> Embeddings:
        """Observations of M grids to tokens (M, N, D), patches in scan order."""
        grids, sizes = observations["grid"], observations["size"]
        patches_MNP = self.embed.patches(grids)
        mask = (patches_MNP != OUTSIDE).any(-1)
        visible = (mask | ~mask.any(-1, keepdim=True)).unsqueeze(1)
        tokens = self_attended(self.blocks, self.embed(patches_MNP, sizes), visible, self.norm)
        return Embeddings(tokens * mask.unsqueeze(-1), mask)


class BoundPatches(nn.Module):
    """Embeds each patch as content × row × column, plus its grid's height and width."""

    def __init__(self, dim: int, patch: int, stem: int, facts: EncoderFacts) -> None:
        super().__init__()
        self.patch = patch
        self.num_colours = NUM_COLOURS
        self.num_rows = math.ceil(facts.space.side / patch)
        self.num_columns = math.ceil(facts.space.side / patch)
        self.padding = (0, self.num_columns * patch - facts.space.side, 0, self.num_rows * patch - facts.space.side)
        self.content = nn.Linear(patch * patch * NUM_COLOURS, dim)
        nn.init.normal_(self.content.weight, std=1 / patch)
        self.stem = nn.ModuleList(ConvolutionBlock(dim) for _ in range(stem))
        self.row = nn.Parameter(_random_signs(self.num_rows, dim))
        self.column = nn.Parameter(_random_signs(self.num_columns, dim))
        self.height = nn.Embedding(facts.space.side + 1, dim)
        self.width = nn.Embedding(facts.space.side + 1, dim)
        for size in (self.height, self.width):
            nn.init.normal_(size.weight, std=_SIZE_STD)

    def patches(self, grids: Tensor) -> Tensor:
        """Grids (M, H, W) to the cells of each patch, (M, N, P·P); beyond the edge lies the outside."""
        padded = F.pad(grids, self.padding, value=OUTSIDE)
        blocks = padded.unflatten(2, (self.num_columns, self.patch)).unflatten(1, (self.num_rows, self.patch))
        patches_MNP: Tensor = blocks.transpose(2, 3).flatten(3).flatten(1, 2)
        return patches_MNP

    def forward(self, patches_MNP: Tensor, sizes: Tensor) -> Tensor:
        """Patches (M, N, P·P) and sizes (M, 2) to (M, N, D)."""
        colours = torch.arange(self.num_colours, device=patches_MNP.device, dtype=patches_MNP.dtype)
        one_hot = (patches_MNP.unsqueeze(-1) == colours).flatten(2)
        content_MND: Tensor = self.content(one_hot.to(self.content.weight.dtype))
        real_MN1 = (patches_MNP != OUTSIDE).any(-1, keepdim=True)
        for block in self.stem:
            content_MND = block(content_MND, real_MN1, self.num_rows)
        position_ND = (self.row.unsqueeze(1) * self.column).flatten(0, 1)
        size_MD: Tensor = self.height(sizes[:, 0]) + self.width(sizes[:, 1])
        embedded: Tensor = content_MND * position_ND + size_MD.unsqueeze(1)
        return embedded


class ConvolutionBlock(nn.Module):
    """Look at the 3 × 3 neighbourhood, mix, and add (arXiv 2106.14881, 2201.03545). Outside a grid all is zero."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.neighbourhood = nn.Conv2d(dim, dim, 3, padding=1)
        self.mix = nn.Linear(dim, dim)

    def forward(self, content_MND: Tensor, real_MN1: Tensor, num_rows: int) -> Tensor:
        """Content (M, N, D) of N patches in scan order, which of them are real (M, N, 1), to the same shape."""
        normed_MDN = (self.norm(content_MND) * real_MN1).transpose(1, 2)
        seen_MDRC = self.neighbourhood(normed_MDN.unflatten(2, (num_rows, -1)))
        changed: Tensor = content_MND + self.mix(F.gelu(seen_MDRC.flatten(2).transpose(1, 2)))
        return changed


def _random_signs(count: int, dim: int) -> Tensor:
    """(count, dim) of ±1: nearly orthogonal rows, and so are their elementwise products."""
    return torch.randint(0, 2, (count, dim)) * 2.0 - 1.0
