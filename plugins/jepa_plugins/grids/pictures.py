"""Grids as pictures in the ten colours of ARC's own task viewer.

Shapes: M grids in square arrays of a side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_plugins.grids.colours import NUM_COLOURS, OUTSIDE

_PALETTE = ["000000", "0074d9", "ff4136", "2ecc40", "ffdc00", "aaaaaa", "f012be", "ff851b", "7fdbff", "870c25"]
_WHITE = "ffffff"
_PIXELS = 4
"""Pixels of a cell's side in the largest grid."""


def pictures_of(grids: Tensor, sizes: Tensor) -> Tensor:
    """(M, side, side) uint8 and (M, 2) int64 to (M, P, P, 3) float32 in [0, 1], P = 4 · side; the outside is white.

    Every grid is enlarged by the largest whole factor that fits: of 3 × 3 cells in a corner nobody would see anything.
    """
    side = grids.shape[-1]
    pixels = torch.arange(_PIXELS * side, device=grids.device)
    pixels_of_cell = _PIXELS * side // sizes.amax(1, keepdim=True)
    # A pixel beyond the last cell lies beside a grid that does not fill its array, and so the array's last is outside.
    cells = (pixels // pixels_of_cell).clamp(max=side - 1)
    number = torch.arange(len(grids), device=grids.device)[:, None, None]
    colours = grids[number, cells[:, :, None], cells[:, None, :]].long()
    return _palette().to(grids.device)[colours]


def _palette() -> Tensor:
    """(11, 3): red, green and blue of the ten colours and the outside."""
    named = {**dict(enumerate(_PALETTE)), OUTSIDE: _WHITE}
    return torch.tensor([list(bytes.fromhex(named[colour])) for colour in range(NUM_COLOURS)]) / 255
