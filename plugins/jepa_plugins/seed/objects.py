"""The seed's encoder: objects' features through an MLP and relational attention, with no normalisation at the end.

Embeddings so keep the scale that the features give them, and the colour's number, 0–9, dominates it. Blocks are those
of `jepa_plugins.transformer`. Shapes: M grids, N objects, D embedding dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

import attrs
import torch
from torch import nn

from jepa_core.contracts import Embeddings, Observations, Reading, ReadingTransform, Space
from jepa_core.facts import EncoderFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.activation import activated
from jepa_plugins.grids.object_features import NUM_FEATURES
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.seed.object_features import (
    context_and_target_apart,
    exchange_colours,
    exchange_colours_together,
    mirror_objects,
    move_objects,
    read_objects,
)
from jepa_plugins.transformer import TransformerBlock, check_heads, self_attended


@attrs.frozen(kw_only=True)
class SeedObjectsConfig:
    """Connected components as the seed encoded them: raw colour numbers, no last normalisation."""

    kind: ClassVar[str] = "seed_objects"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    dim: int = setting("embedding dimension", default=384, at_least=1)
    layers: int = setting("relational attention layers; 0 leaves objects on their own", default=3, at_least=0)
    heads: int = setting("attention heads; divides dim", default=8, at_least=1)
    dropout: float = setting("dropout in attention and MLP", default=0.1, at_least=0, below=1)
    max_objects: int = setting("objects kept of each grid, largest first", default=16, at_least=1, unit="objects")
    one_column_per_colour: bool = setting(
        "say an object's colour by one column per colour and a number within 0–1, not by a number 0–9 alone",
        default=False,
    )

    def __attrs_post_init__(self) -> None:
        check_heads(self.dim, self.heads)

    def build(self, facts: EncoderFacts) -> SeedObjects:  # noqa: ARG002  # features are shares of each grid's own size
        return SeedObjects(self)


class SeedObjects(nn.Module):
    """Reads objects off the grids, then embeds them; can change what it has read."""

    def __init__(self, config: SeedObjectsConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.dim
        self.num_tokens = config.max_objects
        self.features = nn.Sequential(nn.Linear(NUM_FEATURES, config.dim), nn.GELU(), nn.Linear(config.dim, config.dim))
        self.blocks = nn.ModuleList(
            TransformerBlock(config.dim, heads=config.heads, dropout=config.dropout, mlp_ratio=2.0)
            for _ in range(config.layers)
        )

    def forward(self, observations: Observations) -> Embeddings:
        """Observations of M grids to tokens (M, N, D)."""
        return self.embed(self.read(observations))

    def read(self, observations: Observations) -> Reading:
        """The objects of M grids, as `read_objects` says."""
        return read_objects(
            observations["grid"],
            observations["size"],
            max_objects=self.num_tokens,
            one_column_per_colour=self.config.one_column_per_colour,
        )

    def embed(self, reading: Reading) -> Embeddings:
        """A reading of M grids to tokens (M, N, D)."""
        mask, neighbours = reading["mask"], reading["neighbours"]
        allowed = neighbours | torch.eye(self.num_tokens, dtype=torch.bool, device=mask.device)
        first, _, second = cast("tuple[nn.Linear, nn.GELU, nn.Linear]", self.features)
        stream = self_attended(self.blocks, second(activated(reading["features"], first)), allowed)
        return Embeddings(stream * mask.unsqueeze(-1), mask, neighbours)

    def reading_views(self) -> Mapping[str, ReadingTransform]:
        """Exchanged colours, moved and mirrored objects."""
        colours = exchange_colours_together if self.config.one_column_per_colour else exchange_colours
        changes = {"colours": colours, "translation": move_objects, "flips": mirror_objects}
        return {name: context_and_target_apart(change) for name, change in changes.items()}
