"""Batches to try components on: a usual one and odd ones, as tensors by name.

Shapes: B sequences, T context grids, N tokens of a grid, D embedding dimension, P projection dimension, H = W cells.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs
import torch
from torch import Tensor

from jepa_core.facts import OUTSIDE

EMBEDDING_DIM, PROJECTION_DIM = 16, 6

Tensors = dict[str, Tensor]
"""What a component is given or gives, by name."""


@attrs.frozen(kw_only=True)
class Situation:
    """The size of a batch, and how much of it is real."""

    name: str
    batch: int = 4
    context_length: int = 3
    num_tokens: int = 5
    side: int = 7
    real: Literal["some", "none", "all"] = "some"


USUAL = Situation(name="usual")
SITUATIONS = (
    USUAL,
    Situation(name="one sequence", batch=1),
    Situation(name="one context grid", context_length=1),
    Situation(name="one token", num_tokens=1),
    Situation(name="one cell", side=1),
    Situation(name="every slot real", real="all"),
    Situation(name="no object", real="none"),
    Situation(name="no object in one sequence", batch=1, real="none"),
)


def drawn_grids(situation: Situation, num_grids: int) -> Tensors:
    """`grids` (M, H, W) uint8 of different sizes, and `sizes` (M, 2); all background where nothing is real."""
    side = situation.side
    sizes = torch.randint(1, side + 1, (num_grids, 2))
    sizes[0] = side
    colours = torch.randint(1, OUTSIDE, (num_grids, side, side))
    share = {"some": 0.6, "none": 0.0, "all": 1.0}[situation.real]
    content = torch.where(torch.rand(num_grids, side, side) < share, colours, 0)
    cells = torch.arange(side)
    is_inside = (cells[:, None] < sizes[:, 0, None, None]) & (cells < sizes[:, 1, None, None])
    return {"grids": torch.where(is_inside, content, OUTSIDE).to(torch.uint8), "sizes": sizes}


def drawn_context(situation: Situation) -> Tensors:
    """`values` (B, T, N, D) and `mask` (B, T, N)."""
    return drawn_tokens(situation, situation.batch, situation.context_length)


def drawn_tokens(situation: Situation, *leading: int) -> Tensors:
    """`values` (…, N, D), zeros where masked, and `mask` (…, N)."""
    mask = torch.rand(*leading, situation.num_tokens) < {"some": 0.7, "none": -1.0, "all": 2.0}[situation.real]
    return {"values": torch.randn(*mask.shape, EMBEDDING_DIM) * mask[..., None], "mask": mask}


def drawn_state(situation: Situation) -> Tensors:
    """`state` (B, D)."""
    return {"state": torch.randn(situation.batch, EMBEDDING_DIM)}


def drawn_forward(situation: Situation, view_names: Iterable[str]) -> Tensors:
    """The tensors of a `Forward`, named by their path in it, with views of the names given."""
    batch = situation.batch
    tensors = {name: torch.randn(batch, PROJECTION_DIM) for name in ("z_context", "z_target")}
    tensors |= {name: torch.randn(batch, EMBEDDING_DIM) for name in ("predicted", "state", "target")}
    context, target = drawn_context(situation), drawn_tokens(situation, batch)
    tensors |= {f"context_embeddings.{name}": tensor for name, tensor in context.items()}
    tensors["context_quantized.values"] = context["values"].clone()
    tensors |= {f"target_tokens.{name}": tensor for name, tensor in target.items()}
    for view in view_names:
        tensors |= {f"views.{view}.{side}": torch.randn(batch, PROJECTION_DIM) for side in ("z_context", "z_target")}
    return tensors
