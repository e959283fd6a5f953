"""Grids as encoders are given them."""

from __future__ import annotations

from torch import Tensor

from jepa_core.observations import Observations


def observed(grids: Tensor, sizes: Tensor) -> Observations:
    """Grids (M, H, W) and sizes (M, 2)."""
    return Observations({"grid": grids, "size": sizes})
