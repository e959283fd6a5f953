"""A grid as ten blocks, one for each colour, all made by the same weights: colours are exchangeable by construction.

Exchanging two colours of a grid exchanges two blocks of its embedding and changes nothing else (Deep Sets, arXiv
1703.06114), so what is learnt about one colour holds for all. Only a vector for each colour, zero at the start, can
tell them apart, such as the background from the rest. What each block says of its colour (see `colour_features`) is
first projected at random, which keeps similarities (Johnson & Lindenstrauss 1984): two embeddings are about as similar
as the grids are alike in cells, patterns, colours and size, before any training. Attention between the ten blocks then
adds a learned change, which starts small.

A grid is one token, its ten blocks side by side; so size and palette are not averaged away. The aggregator
`analogy` with `blocks = 10` treats the blocks alike, too.

Shapes: M grids of H × W cells, C = 10 colours, F features, K = dim / 10, the width of a block.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Observations, Space
from jepa_core.facts import EncoderFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.grids.colour_features import (
    LAYOUT_SIDE,
    NUM_AMOUNTS,
    NUM_COLOURS,
    NUM_PATTERNS,
    colour_features,
    num_size_features,
)
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.transformer import TransformerBlock, self_attended

_INITIAL_STEP = 0.1
"""Scale of what a layer adds at the start: the blocks begin near the projected features."""


@attrs.frozen(kw_only=True)
class ColourBlocksConfig:
    """One block for each colour, with shared weights: cells, 3 × 3 patterns, layout, colours and size."""

    kind: ClassVar[str] = "colour_blocks"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    place_dim: int = setting("part of a block for where the colour is", default=48, at_least=1)
    pattern_dim: int = setting("part of a block for the colour's 3 × 3 patterns, wherever", default=24, at_least=1)
    layout_dim: int = setting("part of a block for the grid resized to 12 × 12 cells", default=16, at_least=1)
    size_dim: int = setting("part of a block for the grid's height and width", default=16, at_least=1)
    place: float = setting("weight of places at the start", default=1.0, at_least=0)
    pattern: float = setting("weight of patterns at the start", default=1.0, at_least=0)
    layout: float = setting("weight of the layout at the start", default=0.6, at_least=0)
    amount: float = setting("weight of palette and colour shares at the start", default=0.4, at_least=0)
    size: float = setting("weight of height and width at the start", default=0.7, at_least=0)
    layers: int = setting("transformer layers between the blocks of a grid", default=1, at_least=0)
    heads: int = setting("attention heads; divides the width of a block", default=8, at_least=1)
    dropout: float = setting("dropout in attention and MLP", default=0.0, at_least=0, below=1)

    def build(self, facts: EncoderFacts) -> ColourBlocks:
        return ColourBlocks(self, facts)

    @property
    def block_dim(self) -> int:
        """Width of a block: its parts, filled up with zeros to a multiple of `heads`."""
        learned = self.place_dim + self.pattern_dim + self.layout_dim + self.size_dim
        return math.ceil((learned + NUM_AMOUNTS) / self.heads) * self.heads


class ColourBlocks(nn.Module):
    """Random projections of what is known of each colour, and a transformer between the ten colours."""

    num_tokens = 1

    def __init__(self, config: ColourBlocksConfig, facts: EncoderFacts) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = NUM_COLOURS * config.block_dim
        self.place = _projection(facts.space.side * facts.space.side, config.place_dim)
        self.pattern = _projection(NUM_PATTERNS, config.pattern_dim)
        self.layout = _projection(LAYOUT_SIDE**2, config.layout_dim)
        self.size = _projection(num_size_features(facts.space.side), config.size_dim)
        self.identity = nn.Parameter(torch.zeros(NUM_COLOURS, config.block_dim))
        self.layers = nn.ModuleList(
            TransformerBlock(
                config.block_dim,
                heads=config.heads,
                dropout=config.dropout,
                mlp_ratio=2.0,
                initial_step=_INITIAL_STEP,
            )
            for _ in range(config.layers)
        )

    def forward(self, observations: Observations) -> Embeddings:
        """Observations of M grids to one token of each grid, (M, 1, 10 · K)."""
        grids, sizes = observations["grid"], observations["size"]
        start_MCK = self._projected(grids, sizes)
        # A transformer works on entries near one; a block of a grid of unit length has a tenth of its square.
        scale = NUM_COLOURS**0.5
        named_MCK = start_MCK * scale + self.identity
        everything = torch.ones(1, 1, 1, dtype=torch.bool, device=grids.device)
        changed_MCK = start_MCK + (self_attended(self.layers, named_MCK, everything) - named_MCK) / scale
        tokens_M1D = changed_MCK.flatten(1).unsqueeze(1)
        return Embeddings(tokens_M1D, torch.ones(grids.shape[0], 1, dtype=torch.bool, device=grids.device))

    def _projected(self, grids: Tensor, sizes: Tensor) -> Tensor:
        """(M, C, K): the start of the blocks."""
        config, features = self.config, colour_features(grids, sizes)
        parts = [
            self.place(features.place) * config.place,
            self.pattern(features.pattern) * config.pattern,
            self.layout(features.layout) * config.layout,
            self.size(features.size) * config.size,
            features.amount * config.amount,
        ]
        filled = sum(part.shape[-1] for part in parts)
        parts.append(features.amount.new_zeros(*features.amount.shape[:2], config.block_dim - filled))
        return torch.cat(parts, -1)


def _projection(width_in: int, width_out: int) -> nn.Linear:
    """A random projection that keeps lengths on average."""
    projection = nn.Linear(width_in, width_out, bias=False)
    nn.init.orthogonal_(projection.weight, gain=math.sqrt(max(1.0, width_in / width_out)))
    return projection
