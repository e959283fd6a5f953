"""Batches to try components on: a usual one and odd ones, as tensors by name.

Shapes: B sequences, T context grids, N tokens of a grid, D embedding dimension, P projection dimension, H = W cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import attrs
import torch
from torch import Tensor

from jepa_core.facts import OUTSIDE

EMBEDDING_DIM, PROJECTION_DIM = 16, 6

PARTS_OF_VIEW = {
    "z_context": PROJECTION_DIM,
    "z_target": PROJECTION_DIM,
    "state": EMBEDDING_DIM,
    "target": EMBEDDING_DIM,
}
"""What a loss finds of a view, and its width."""

Tensors = dict[str, Tensor]
"""What a component is given or gives, by name."""


@attrs.frozen(kw_only=True)
class Situation:
    """The size of a batch, and how much of it is real."""

    batch: int = 4
    context_length: int = 3
    num_tokens: int = 5
    side: int = 7
    real: Literal["some", "none", "all"] = "some"

    def smaller(self, least_batch: int) -> Iterator[Situation]:
        """The same with one size reduced, the smallest first."""
        for size in ("batch", "context_length", "num_tokens", "side"):
            least = least_batch if size == "batch" else 1
            for value in range(least, getattr(self, size)):
                reduced: dict[str, Any] = {size: value}
                yield attrs.evolve(self, **reduced)

    def text(self) -> str:
        """The sizes, in words."""
        words = {"some": "some slots real", "none": "no slot real", "all": "every slot real"}
        return (
            f"B = {self.batch}, T = {self.context_length}, N = {self.num_tokens}, "
            f"H = W = {self.side}, {words[self.real]}"
        )


USUAL = Situation()
SITUATIONS = (
    USUAL,
    Situation(batch=1, real="none"),
    Situation(batch=1),
    Situation(context_length=1),
    Situation(num_tokens=1),
    Situation(side=1),
    Situation(real="none"),
    Situation(real="all"),
)
"""One sequence, one grid, one object or none, one cell: what a short task or a small last batch brings."""


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
    tensors["z_grids"] = torch.randn(batch, situation.context_length, PROJECTION_DIM)
    context, target = drawn_context(situation), drawn_tokens(situation, batch)
    tensors |= {f"context_embeddings.{name}": tensor for name, tensor in context.items()}
    tensors["context_quantized.values"] = context["values"].clone()
    tensors |= {f"target_tokens.{name}": tensor for name, tensor in target.items()}
    for view in view_names:
        tensors |= {f"views.{view}.{part}": torch.randn(batch, width) for part, width in PARTS_OF_VIEW.items()}
    for tokens, mask in (("context_embeddings", context["mask"]), ("target_tokens", target["mask"])):
        tensors[f"{tokens}.neighbours"] = _drawn_neighbours(mask)
    return tensors


def _drawn_neighbours(mask: Tensor) -> Tensor:
    """(…, N, N) bool: symmetric, every real token its own neighbour, none where masked."""
    drawn = torch.rand(*mask.shape, mask.shape[-1]) < 0.4
    itself = torch.eye(mask.shape[-1], dtype=torch.bool)
    return (drawn | drawn.transpose(-1, -2) | itself) & mask[..., :, None] & mask[..., None, :]
