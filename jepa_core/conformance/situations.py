"""Batches to try components on: a usual one and odd ones, as tensors by name.

Shapes: B sequences, T observations of context, N tokens of each, D embedding dimension, P projection dimension.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import torch
from torch import Tensor

from jepa_core.spaces import Fill, Space

EMBEDDING_DIM, PROJECTION_DIM = 16, 6

PARTS_OF_TARGET_VIEW = {"z_target": PROJECTION_DIM, "target": EMBEDDING_DIM}
PARTS_OF_VIEW = {**PARTS_OF_TARGET_VIEW, "z_context": PROJECTION_DIM, "state": EMBEDDING_DIM}
"""What a loss finds of a view, and its width."""

Tensors = dict[str, Tensor]
"""What a component is given or gives, by name."""


@attrs.frozen(kw_only=True)
class Situation:
    """The size of a batch, and how much of it is real."""

    batch: int = 4
    context_length: int = 3
    num_tokens: int = 5
    example: int = 0
    """Which of a space's examples observations are of: its usual one, or its smallest."""
    real: Fill = "some"

    def smaller(self, least_batch: int) -> Iterator[Situation]:
        """The same with one size reduced, the smallest first."""
        for size in ("batch", "context_length", "num_tokens"):
            least = least_batch if size == "batch" else 1
            for value in range(least, getattr(self, size)):
                reduced: dict[str, Any] = {size: value}
                yield attrs.evolve(self, **reduced)
        if self.example == 0:
            yield attrs.evolve(self, example=1)

    def text(self) -> str:
        """The sizes, in words."""
        words = {"some": "some slots real", "none": "no slot real", "all": "every slot real"}
        return f"B = {self.batch}, T = {self.context_length}, N = {self.num_tokens}, {words[self.real]}"


USUAL = Situation()
SITUATIONS = (
    USUAL,
    Situation(batch=1, real="none"),
    Situation(batch=1),
    Situation(context_length=1),
    Situation(num_tokens=1),
    Situation(example=1),
    Situation(real="none"),
    Situation(real="all"),
)
"""One sequence, one observation, one object or none, the least there can be in an observation: what a short task or a
small last batch brings."""


def drawn_observations(situation: Situation, space: Space, num: int) -> Tensors:
    """`num` observations of a space, by the names of their tensors."""
    return dict(space.sample(num, situation.real).tensors)


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


def drawn_forward(situation: Situation, view_names: Iterable[str], target_view_names: Iterable[str] = ()) -> Tensors:
    """The tensors of a `Forward`, named by their path in it, with views of the names given."""
    batch = situation.batch
    tensors = {name: torch.randn(batch, PROJECTION_DIM) for name in ("z_context", "z_target")}
    tensors |= {name: torch.randn(batch, EMBEDDING_DIM) for name in ("predicted", "state", "target")}
    tensors["z_observed"] = torch.randn(batch, situation.context_length, PROJECTION_DIM)
    context, target = drawn_context(situation), drawn_tokens(situation, batch)
    tensors |= {f"context_embeddings.{name}": tensor for name, tensor in context.items()}
    tensors["context_quantized.values"] = context["values"].clone()
    tensors |= {f"target_tokens.{name}": tensor for name, tensor in target.items()}
    named = [(f"views.{name}", PARTS_OF_VIEW) for name in view_names]
    named += [(f"target_views.{name}", PARTS_OF_TARGET_VIEW) for name in target_view_names]
    for view, parts in named:
        tensors |= {f"{view}.{part}": torch.randn(batch, width) for part, width in parts.items()}
    for tokens, mask in (("context_embeddings", context["mask"]), ("target_tokens", target["mask"])):
        tensors[f"{tokens}.neighbours"] = _drawn_neighbours(mask)
    tensors["is_target"] = torch.rand(batch, situation.context_length) < 0.2
    return tensors


def _drawn_neighbours(mask: Tensor) -> Tensor:
    """(…, N, N) bool: symmetric, every real token its own neighbour, none where masked."""
    drawn = torch.rand(*mask.shape, mask.shape[-1]) < 0.4
    itself = torch.eye(mask.shape[-1], dtype=torch.bool)
    return (drawn | drawn.transpose(-1, -2) | itself) & mask[..., :, None] & mask[..., None, :]
