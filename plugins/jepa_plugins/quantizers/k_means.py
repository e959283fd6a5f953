"""k-means with k-means++ seeding (Arthur & Vassilvitskii 2007), for codebooks that start from data.

Runs once before training, on the tokens' device. Knows nothing of moving averages.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_plugins.quantizers.nearest import code_sums, nearest_codes

ROWS_PER_CENTRE = 10
"""Rows beyond this many times the number of centres refine the start too little for their cost."""


def k_means(rows: Tensor, num_centres: int, iterations: int = 5) -> tuple[Tensor, Tensor]:
    """Centres (G, K, d) of G groups of rows (G, R, d), and how many of the rows looked at are nearest to each, (G, K).

    Looks at a random subset of ten times as many rows as centres, the same of every group. With fewer distinct rows
    than centres some centres coincide, and their count is zero.
    """
    order = torch.randperm(rows.shape[1], device=rows.device)
    sample = rows[:, order[: ROWS_PER_CENTRE * num_centres]].float()
    centres = _seeds(sample, num_centres)
    for _ in range(iterations):
        counts, sums = _assigned(sample, centres)
        centres = torch.where(counts[..., None] > 0, sums / counts.clamp(min=1)[..., None], centres)
    return centres, _assigned(sample, centres)[0]


def _seeds(rows: Tensor, num_centres: int) -> Tensor:
    """k-means++: each next seed is a row drawn with probability proportional to its squared distance from the seeds."""
    # One pass over the rows for each seed: |x − s|² = |x|² − 2 x·s + |s|².
    squares = rows.square().sum(-1)
    seeds: list[Tensor] = []
    distance = torch.ones_like(squares)
    for _ in range(num_centres):
        # Rows at distance zero have weight zero; when all have, the small addend makes the draw uniform.
        weight = distance + torch.finfo(distance.dtype).tiny
        # The largest of weight / exponential draw falls on each row in proportion to its weight (Gumbel-max).
        drawn = (weight.log() - _exponential_like(weight).log()).argmax(1, keepdim=True)
        seed = rows.gather(1, drawn[..., None].expand(-1, -1, rows.shape[2]))
        to_seed = (squares - 2 * (rows @ seed.mT)[..., 0] + squares.gather(1, drawn)).clamp(min=0)
        distance = torch.minimum(distance, to_seed) if seeds else to_seed
        seeds.append(seed)
    return torch.cat(seeds, 1)


def _assigned(rows: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Number (G, K) and sum (G, K, d) of the rows nearest to each centre."""
    nearest = nearest_codes(rows, centres)
    return code_sums(rows, nearest, torch.ones_like(rows[0, :, 0]), centres.shape[1])


def _exponential_like(values: Tensor) -> Tensor:
    return torch.empty_like(values).exponential_()
