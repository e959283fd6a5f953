"""Embeddings scaled to unit length, in float32, with a gradient that stays bounded near zero."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

SHORTEST = 1e-4
"""Shorter embeddings stay shorter than one: the gradient grows with 1 / length, and a projector that ends in a ReLU
can give exact zeros."""


def unit_length(z: Tensor) -> Tensor:
    """(..., P) of any floating type to (..., P) float32."""
    return F.normalize(z.float(), dim=-1, eps=SHORTEST)
