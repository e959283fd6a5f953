"""The nearest code of each token, by squared Euclidean distance, in float32.

Shapes: G codebooks side by side, M tokens, K codes in a codebook, d dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_SCORES = 2**26
"""Scores held at a time, 256 MiB: beyond it tokens are taken in several parts."""


def nearest_codes(tokens_GMd: Tensor, codebook_GKd: Tensor) -> Tensor:
    """(G, M) int64: index of the nearest of each codebook's K codes; the first of equally near ones.

    |x − c|² is smallest where x·c − |c|²/2 is largest: |x|² is the same for all codes and never computed.
    """
    num_groups, num_codes, _ = codebook_GKd.shape
    half_squares_G1K = codebook_GKd.square().sum(-1)[:, None, :] / 2
    rows = max(1, MAX_SCORES // (num_groups * num_codes))
    parts = [
        (torch.bmm(part_GMd, codebook_GKd.transpose(1, 2)) - half_squares_G1K).argmax(-1)
        for part_GMd in torch.split(tokens_GMd, rows, dim=1)
    ]
    return torch.cat(parts, dim=1)
