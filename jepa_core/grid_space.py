"""The space of grids: `grid` (…, H, W) uint8, content top left and the outside beyond it, and `size` (…, 2) int64."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.errors import DataError
from jepa_core.facts import NUM_COLOURS, OUTSIDE
from jepa_core.grid_edits import colours_of, edited
from jepa_core.observations import Observations
from jepa_core.spaces import Edit

_KEYS_AT_ONCE = 4096
_LISTS_AT_ONCE = 32


@attrs.frozen(kw_only=True)
class GridSpace:
    """Grids of ten colours in square arrays of `side` × `side` cells."""

    kind: ClassVar[str] = "grid"

    side: int

    def describe(self) -> str:
        """In the plural."""
        return f"grids of up to {self.side} × {self.side} cells"

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"kind": self.kind, "side": self.side}

    def fitted(self, observations: Observations) -> Observations:
        """Padded with the outside, or cut where only outside is, to this side.

        Raises:
            DataError: a grid is larger.
        """
        largest = int(observations["size"].max())
        if largest > self.side:
            raise DataError(
                f"The weights take {self.describe()}, and this data has one of {largest}. "
                f"Leave such grids out, with --set data.max_side={self.side} where the dataset has it."
            )
        missing = self.side - observations["grid"].shape[-1]
        grids = F.pad(observations["grid"], (0, missing, 0, missing), value=OUTSIDE)
        return Observations({"grid": grids, "size": observations["size"]})

    def keys(self, observations: Observations) -> Tensor:
        """(…) int64: a sum over cells modulo 2^64; the cells tell the size, too."""
        cells = observations["grid"].flatten(-2)
        generator = torch.Generator().manual_seed(0)
        factors = torch.randint(-(2**62), 2**62, (cells.shape[-1],), generator=generator) * 2 + 1
        factors = factors.to(cells.device)
        return torch.cat([((part.long() + 1) * factors).sum(-1) for part in cells.split(_KEYS_AT_ONCE)])

    def alike(self, observations: Observations) -> Tensor:
        """(V, C, …) to (V, C, C): the share of cells that are equal."""
        shares = []
        for cells in observations["grid"].flatten(2).split(_LISTS_AT_ONCE):
            one_hot = torch.zeros(*cells.shape, NUM_COLOURS, device=cells.device)
            one_hot = one_hot.scatter_(3, cells.long().unsqueeze(3), 1.0).flatten(2)
            shares.append(one_hot @ one_hot.transpose(1, 2) / cells.shape[2])
        return torch.cat(shares)

    def editor(self, sequences: Observations) -> Edit:
        """One cell, two colours exchanged, a shift by one or a mirror image, with colours of the sequence."""
        palette = colours_of(sequences["grid"])

        def edit(observations: Observations) -> Observations:
            grids = edited(observations["grid"], observations["size"], palette)
            return Observations({"grid": grids, "size": observations["size"]})

        return edit
