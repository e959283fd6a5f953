"""How near candidates are to a frame that a null predicts: the mean squared difference of pixels, negative.

Shapes: V predicted frames, N candidates, F = C · H · W values of a frame.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ROWS_AT_ONCE = 256
"""Bounds the copies in float64, and the differences with each prediction's own candidates."""

_VALUES_AT_ONCE = 2**24
"""Differences that are held at once: 64 MB in float32."""


def nearness(predicted: Tensor, candidates: Tensor) -> Tensor:
    """Frames (V, C, H, W) and candidates (N, C, H, W), or (V, N, C, H, W), to scores (V, N) float32, at most 0."""
    frames_VF = predicted.flatten(1)
    if candidates.ndim > predicted.ndim:
        return _to_own(frames_VF, candidates.flatten(2))
    return _to_shared(frames_VF, candidates.flatten(1))


def _to_shared(frames_VF: Tensor, candidates_NF: Tensor) -> Tensor:
    """|p − c|² = |p|² − 2 p·c + |c|², in float64: near 0 the terms cancel, and a frame that is exactly right would tie
    with others that are nearly so. Autocast and TF32 leave float64 alone."""
    columns = candidates_NF.double()
    lengths = columns.square().sum(1)
    rows = []
    for part in frames_VF.split(_ROWS_AT_ONCE):
        exact = part.double()
        squared = exact.square().sum(1, keepdim=True) - 2 * (exact @ columns.T) + lengths
        rows.append((squared.clamp(min=0) / -columns.shape[1]).float())
    return torch.cat(rows)


def _to_own(frames_VF: Tensor, candidates_VNF: Tensor) -> Tensor:
    rows_at_once = max(1, _VALUES_AT_ONCE // max(1, candidates_VNF[0].numel()))
    parts = zip(frames_VF.split(rows_at_once), candidates_VNF.split(rows_at_once), strict=True)
    return torch.cat([-(own - frame.unsqueeze(1)).square().mean(2) for frame, own in parts]).float()
