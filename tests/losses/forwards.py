"""Random `Forward`s for tests of losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from jepa_core.contracts import Crew, Embeddings, Forward, Quantized, Statistics, View

NUM_CONTEXT, NUM_TOKENS, DIM, PROJECTION = 3, 5, 4, 6


def random_forward(
    batch: int = 8, *, seed: int = 0, real: float = 0.7, dtype: torch.dtype = torch.float32, scale: float = 1.0
) -> Forward:
    """B sequences; a share `real` of the tokens is real. Online tensors are leaves that take a gradient."""
    torch.manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return (torch.randn(*shape) * scale).to(dtype)

    mask = torch.rand(batch, NUM_CONTEXT, NUM_TOKENS) < real
    target_mask = torch.rand(batch, NUM_TOKENS) < real
    values = (drawn(batch, NUM_CONTEXT, NUM_TOKENS, DIM) * mask[..., None]).requires_grad_()
    return Forward(
        z_context=drawn(batch, PROJECTION).requires_grad_(),
        z_target=drawn(batch, PROJECTION),
        predicted=drawn(batch, DIM),
        state=drawn(batch, DIM),
        target=drawn(batch, DIM),
        context_embeddings=Embeddings(values, mask),
        context_quantized=Quantized(values=values, codes=None, loss=torch.zeros(()), statistics=Statistics()),
        target_tokens=Embeddings(drawn(batch, NUM_TOKENS, DIM) * target_mask[..., None], target_mask),
        z_observed=drawn(batch, NUM_CONTEXT, PROJECTION),
        views={
            name: View(
                z_context=drawn(batch, PROJECTION).requires_grad_(),
                z_target=drawn(batch, PROJECTION).requires_grad_(),
                state=drawn(batch, DIM).requires_grad_(),
                target=drawn(batch, DIM).requires_grad_(),
            )
            for name in ("colours", "translation", "flips")
        },
    )


def part_of(whole: Forward, crew: Crew) -> tuple[Forward, list[Tensor]]:
    """A rank's share of the sequences, and its leaves that take a gradient: those of the whole in their order."""
    leaves: dict[int, Tensor] = {}

    def shared(value: Any) -> Any:
        if isinstance(value, Tensor):
            if not value.dim():
                return value
            mine = value.detach().chunk(crew.size)[crew.rank].clone()
            # What the whole names twice is one leaf here, too.
            return leaves.setdefault(id(value), mine.requires_grad_()) if value.requires_grad else mine
        if isinstance(value, Mapping):
            return {name: shared(part) for name, part in value.items()}
        if is_dataclass(value) and not isinstance(value, type | Crew):
            return replace(value, **{part.name: shared(getattr(value, part.name)) for part in fields(value)})
        return value

    part = replace(shared(whole), crew=crew)
    return part, list(leaves.values())
