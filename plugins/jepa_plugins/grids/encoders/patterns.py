"""Cells with what surrounds them beside: a bag of local patterns that stays when a grid is turned, moved or recoloured.

Bags of local features recognise a scene whose parts have moved (Csurka et al. 2004; BagNet, arXiv 1904.00760). Each
cell's token is that of `cells` and, in dimensions of their own, what the squares of cells around it look like
(`local_patterns`): in the grid's own colours; in the grid cut at each colour number into higher and not higher, as
threshold decomposition does (Maragos & Schafer 1987); and in the mask of each colour, the latter two one and two cells
around. Wide patterns tell more grids apart, narrow ones outlive more changes. A pattern is a fixed
random direction, so that the mean of the tokens is a random projection of the histogram of patterns (random indexing,
Kanerva et al. 2000), with a learned weight for each pattern, as words have in a text. Last comes the grid as a whole:
its palette, the shares of its colours, and its two sides, whichever is which.

Shapes: M grids of H × W cells, N = H·W tokens, V views of a grid, D embedding dimension, E dimension of a kind.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Observations, Space
from jepa_core.facts import EncoderFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.grids.bag_of_patterns import bag_of_patterns
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.encoders.cells import CellsConfig
from jepa_plugins.grids.local_patterns import LocalPatterns
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.transformer import check_heads

Kind = Literal["colours", "levels", "masks"]

KINDS: tuple[tuple[Kind, int], ...] = (("colours", 1), ("levels", 1), ("levels", 2), ("masks", 1), ("masks", 2))
"""What a pattern is of, and how many cells it reaches around its own."""

_PATTERN_SCALE = 2.0
"""Few patterns of a grid are equal, so their mean is short: they start longer than the cells' tokens."""

_SUMMARY_STD = 0.3
"""What all tokens of a grid share survives the mean whole where patterns average out: it starts small."""


@attrs.frozen(kw_only=True)
class PatternsConfig:
    """Vision transformer over cells, with a bag of local patterns and the grid's palette and size beside."""

    kind: ClassVar[str] = "patterns"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    dim: int = setting("dimension of the transformer's tokens", default=256, at_least=1)
    layers: int = setting("transformer layers; 0 leaves cells on their own", default=2, at_least=0)
    heads: int = setting("attention heads; divides dim", default=8, at_least=1)
    stem: int = setting("3 × 3 convolutions over cells before the transformer", default=2, at_least=0)
    dropout: float = setting("dropout in attention and MLP", default=0.0, at_least=0, below=1)
    mlp_ratio: float = setting("width of a layer's MLP, relative to dim", default=2.0, above=0)
    pattern_dim: int = setting("dimension of each of the five kinds of pattern", default=128, at_least=1)
    bins: int = setting("numbers that the patterns of a kind share", default=8192, at_least=2)
    pattern_dropout: float = setting(
        "share of patterns left out of a training grid, each on its own", default=0.0, at_least=0, below=1
    )
    summary_dim: int = setting("dimension of palette, shares and size, a third each", default=96, at_least=3)

    def __attrs_post_init__(self) -> None:
        check_heads(self.dim, self.heads)

    def build(self, facts: EncoderFacts) -> PatternEncoder:
        return PatternEncoder(self, facts)


class PatternEncoder(nn.Module):
    """Every cell of the grid is a token: (cells | patterns of each kind | palette, shares, size)."""

    def __init__(self, config: PatternsConfig, facts: EncoderFacts) -> None:
        super().__init__()
        self.cells = CellsConfig(
            dim=config.dim,
            layers=config.layers,
            heads=config.heads,
            stem=config.stem,
            dropout=config.dropout,
            mlp_ratio=config.mlp_ratio,
        ).build(facts)
        self.patterns = nn.ModuleList(PatternBag(kind, radius, config) for kind, radius in KINDS)
        self.summary = GridSummary(config.summary_dim // 3, facts)
        self.embedding_dim = config.dim + len(self.patterns) * config.pattern_dim + 3 * (config.summary_dim // 3)
        self.num_tokens = self.cells.num_tokens

    def forward(self, observations: Observations) -> Embeddings:
        """Observations of M grids to tokens (M, N, D), cells in scan order."""
        grids, sizes = observations["grid"], observations["size"]
        cells = self.cells(observations)
        summary = self.summary(grids, sizes).unsqueeze(1).expand(-1, self.num_tokens, -1)
        parts = [cells.values, *(bag(grids) for bag in self.patterns), summary]
        tokens = torch.cat([part.to(cells.values.dtype) for part in parts], -1)
        return Embeddings(tokens * cells.mask.unsqueeze(-1), cells.mask)


class PatternBag(nn.Module):
    """What one kind of pattern adds to each cell's token."""

    directions: Tensor

    def __init__(self, kind: Kind, radius: int, config: PatternsConfig) -> None:
        super().__init__()
        self.kind = kind
        self.patterns = LocalPatterns(radius, "colours" if kind == "colours" else "borders", config.bins)
        self.register_buffer("directions", torch.randn(config.bins, config.pattern_dim))
        self.weights = nn.Embedding(config.bins, 1)
        self.dropout = config.pattern_dropout
        nn.init.constant_(self.weights.weight, _PATTERN_SCALE)

    def forward(self, grids: Tensor) -> Tensor:
        """Grids (M, H, W) to (M, N, E): the sum over the kind's views of the pattern around each cell."""
        numbers_VC = self.patterns(grids, "whole" if self.kind == "colours" else self.kind).flatten(1)
        dropout = self.dropout if self.training else 0.0
        sums_CE = bag_of_patterns(numbers_VC, self.weights.weight, self.directions, dropout)
        return sums_CE.view(len(grids), -1, sums_CE.shape[1])


class GridSummary(nn.Module):
    """Palette, shares of colours and the two sides of a grid, (M, 3 × E)."""

    def __init__(self, dim: int, facts: EncoderFacts) -> None:
        super().__init__()
        self.longest = facts.space.side
        self.palette = nn.Linear(OUTSIDE, dim, bias=False)
        self.shares = nn.Linear(OUTSIDE, dim, bias=False)
        self.size = nn.Embedding((self.longest + 1) ** 2, dim)
        for table in (self.palette, self.shares, self.size):
            nn.init.normal_(table.weight, std=_SUMMARY_STD)

    def forward(self, grids: Tensor, sizes: Tensor) -> Tensor:
        """Grids (M, H, W) and sizes (M, 2)."""
        colours = torch.arange(OUTSIDE, device=grids.device)
        counts = (grids.flatten(1).unsqueeze(-1) == colours).sum(1).to(self.palette.weight.dtype)
        shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
        side = sizes.amin(1) * (self.longest + 1) + sizes.amax(1)
        return torch.cat([self.palette((counts > 0).to(counts.dtype)), self.shares(shares), self.size(side)], -1)
