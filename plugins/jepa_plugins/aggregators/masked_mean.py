"""The mean over the real tokens of each observation. Shapes: N tokens, D embedding dimension."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Tokens (..., N, D) and mask (..., N) to their mean (..., D) in float32; zeros where no token is real.

    Masked-out tokens have no influence, whatever they hold.
    """
    total = torch.where(mask.unsqueeze(-1), values, 0).sum(-2, dtype=torch.float32)
    return total / mask.sum(-1, keepdim=True).clamp(min=1)
