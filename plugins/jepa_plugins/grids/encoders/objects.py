"""The object encoder: connected components as tokens, related by attention along adjacency.

Object-centric tokens for JEPA follow the system this project grew from; attention restricted to a graph's edges is
graph attention (arXiv 1710.10903) in a transformer block. It sees objects' features only: shapes beyond area,
perimeter and box are not in them. Shapes: M grids, N objects, D embedding dimension.
"""

from __future__ import annotations

from typing import ClassVar, cast

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Observations, Space
from jepa_core.facts import EncoderFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.activation import activated
from jepa_plugins.grids.object_features import NUM_FEATURES, find_objects
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.transformer import TransformerBlock, check_heads, self_attended


@attrs.frozen(kw_only=True)
class ObjectsConfig:
    """Connected components of one colour as tokens, and attention between adjacent objects."""

    kind: ClassVar[str] = "objects"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    dim: int = setting("embedding dimension", default=384, at_least=1)
    layers: int = setting("relational attention layers; 0 leaves objects on their own", default=3, at_least=0)
    heads: int = setting("attention heads; divides dim", default=8, at_least=1)
    dropout: float = setting("dropout in attention and MLP", default=0.1, at_least=0, below=1)
    mlp_ratio: float = setting("width of a layer's MLP, relative to dim", default=2.0, above=0)
    max_objects: int = setting("objects kept of each grid, largest first", default=16, at_least=1, unit="objects")
    canvas_size: bool = setting(
        "add the grid's height and width, as shares of the largest, to each object's features", default=False
    )

    def __attrs_post_init__(self) -> None:
        check_heads(self.dim, self.heads)

    def build(self, facts: EncoderFacts) -> ObjectEncoder:
        return ObjectEncoder(self, facts)


class ObjectEncoder(nn.Module):
    """Features to embeddings by an MLP, then relational attention; a grid without objects has no token."""

    canvas: Tensor

    def __init__(self, config: ObjectsConfig, facts: EncoderFacts) -> None:
        super().__init__()
        self.embedding_dim = config.dim
        self.num_tokens = config.max_objects
        self.canvas_size = config.canvas_size
        self.register_buffer("canvas", torch.tensor([facts.space.side, facts.space.side]).float(), persistent=False)
        num_features = NUM_FEATURES + (2 if config.canvas_size else 0)
        self.embed = nn.Sequential(nn.Linear(num_features, config.dim), nn.GELU(), nn.Linear(config.dim, config.dim))
        self.blocks = nn.ModuleList(
            TransformerBlock(config.dim, heads=config.heads, dropout=config.dropout, mlp_ratio=config.mlp_ratio)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, observations: Observations) -> Embeddings:
        """Observations of M grids to tokens (M, N, D)."""
        grids, sizes = observations["grid"], observations["size"]
        objects = find_objects(grids, sizes, max_objects=self.num_tokens)
        shares = self.canvas_shares(sizes).unsqueeze(1).expand(-1, self.num_tokens, -1)
        features = torch.cat([objects.features, shares], -1)
        allowed = objects.adjacency() | torch.eye(self.num_tokens, dtype=torch.bool, device=grids.device)
        # Sorting by size asks the device how many there are, which a GPU's launches would wait for; and a program that
        # is compiled or exported has one course for all.
        is_free = not (grids.is_cuda or torch.compiler.is_compiling())
        related = self._related_by_size if is_free else self._related
        return Embeddings(related(features, allowed, objects.mask), objects.mask)

    def _related(self, features: Tensor, allowed: Tensor, mask: Tensor) -> Tensor:
        """Features (M, N, F), which attend where `allowed` (M, N, N), to tokens (M, N, D); zeros where masked."""
        first, _, second = cast("tuple[nn.Linear, nn.GELU, nn.Linear]", self.embed)
        stream = second(activated(features, first))
        return self_attended(self.blocks, stream, allowed, self.norm) * mask.unsqueeze(-1)

    def _related_by_size(self, features: Tensor, allowed: Tensor, mask: Tensor) -> Tensor:
        """The same with less padding: grids of up to 1, 2, 4, … objects together. A grid's objects are its first."""
        num_grids, num_tokens = mask.shape
        num_objects = mask.sum(1)
        if not num_objects.any():
            # Zeros that nothing made would have no gradient, which the step asks for.
            return self._related(features, allowed, mask)
        tokens = features.new_zeros(num_grids, num_tokens, self.embedding_dim)
        fewer = 0
        while fewer < num_tokens:
            most = min(max(1, 2 * fewer), num_tokens)
            rows = ((num_objects > fewer) & (num_objects <= most)).nonzero().squeeze(1)
            if len(rows):
                part = self._related(features[rows, :most], allowed[rows, :most, :most], mask[rows, :most])
                tokens = tokens.to(part.dtype).index_put((rows,), F.pad(part, (0, 0, 0, num_tokens - most)))
            fewer = most
        return tokens

    def canvas_shares(self, sizes: Tensor) -> Tensor:
        """Sizes (M, 2) as shares of the largest, (M, 2); (M, 0) when not asked for."""
        return sizes / self.canvas if self.canvas_size else sizes.new_empty(sizes.shape[0], 0, dtype=torch.float32)
