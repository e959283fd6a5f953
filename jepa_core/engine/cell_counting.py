"""Counting equal cells: the baseline that learns nothing, for ranking candidate targets.

Knows grids, not ranks or ties: those are shared with the model's own retrieval.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.facts import NUM_COLOURS

_ROWS_AT_ONCE = 1024
"""Bounds the one-hot copies: 40 MB for grids of 30 × 30."""


def equal_cell_scores(last_context: Tensor, candidates: Tensor) -> Tensor:
    """How many cells agree between each last context grid (V, H, W) and each candidate (C, H, W): (V, C) float32.

    The outside of a grid is an eleventh colour. The counts are exact; padding all grids further, say to 30 × 30, adds
    the same number to every count, and dividing by the area scales them all: neither changes a ranking.
    """
    with torch.autocast(device_type=last_context.device.type, enabled=False):
        columns = [_one_hot(part) for part in candidates.split(_ROWS_AT_ONCE)]
        rows = [
            torch.cat([one_hot @ column.T for column in columns], dim=1)
            for one_hot in map(_one_hot, last_context.split(_ROWS_AT_ONCE))
        ]
    return torch.cat(rows)


def _one_hot(grids: Tensor) -> Tensor:
    """(K, H, W) to (K, H · W · colours) float32. Zeros and ones survive TF32, and their sums are exact in float32."""
    return F.one_hot(grids.flatten(1).long(), NUM_COLOURS).flatten(1).float()
