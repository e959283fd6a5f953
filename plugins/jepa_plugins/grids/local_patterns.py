"""Numbers for what surrounds each cell, the same however the grid is turned or mirrored.

Rotation-invariant local binary patterns (Ojala, Pietikäinen & Mäenpää 2002) carried over to grids of colours: a
pattern is the square of cells around a cell, told either by which neighbours in it differ, whatever their colours, or
by the colours themselves. Each of its eight orientations is hashed, and the least hash is the pattern's number.

Shapes: M grids of H × W cells, N = H·W cells, K facts about a square, 8 orientations.
"""

from __future__ import annotations

from itertools import product
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_plugins.grids.colours import OUTSIDE

Told = Literal["borders", "colours"]

_PRIME = 2**31 - 1
_MULTIPLIER_BITS = 28
"""A sum of products stays exact in float64."""


class LocalPatterns(nn.Module):
    """Grids to the number of each cell's pattern, 0 … bins − 1."""

    multipliers: Tensor
    """(K, 8)."""

    def __init__(self, radius: int, told: Told, bins: int) -> None:
        super().__init__()
        self.radius, self.told, self.bins = radius, told, bins
        side = 2 * radius + 1
        cells = [(row, column) for row in range(side) for column in range(side)]
        pairs = [((r, c), (r + dr, c + dc)) for r, c in cells for dr, dc in ((0, 1), (1, 0)) if r + dr < side > c + dc]
        self.cells = cells
        self.pairs = pairs if told == "borders" else []
        self.register_buffer("multipliers", self._multipliers(side), persistent=False)

    def forward(self, grids: Tensor) -> tuple[Tensor, Tensor]:
        """Grids (M, H, W) uint8 to numbers (M, H·W) int64, and where there is anything to tell, (M, H·W) bool.

        A square of cells without a border tells nothing.
        """
        facts_MNK = self.facts(grids)
        return self.numbers(facts_MNK), self.told_by(facts_MNK)

    def numbers(self, facts: Tensor) -> Tensor:
        """Facts (..., K) to pattern numbers (...)."""
        hashes = (facts.double() @ self.multipliers).long().remainder(_PRIME)
        return hashes.amin(-1).remainder(self.bins)

    def told_by(self, facts: Tensor) -> Tensor:
        """Facts (..., K) to (...) bool: whether they tell anything."""
        return (facts[..., -len(self.pairs) :] != 0).any(-1)

    def facts(self, grids: Tensor) -> Tensor:
        """(M, N, K): colours of the square's cells; or which of them are outside, then where two inside differ."""
        height, width = grids.shape[1:]
        reach = self.radius
        padded = F.pad(grids, (reach, reach, reach, reach), value=OUTSIDE)
        seen = {(r, c): padded[:, r : r + height, c : c + width].flatten(1) for r, c in self.cells}
        if self.told == "colours":
            return torch.stack([seen[cell] + 1 for cell in self.cells], -1)
        outside = {cell: colours == OUTSIDE for cell, colours in seen.items()}
        borders = [(seen[one] != seen[other]) & ~(outside[one] | outside[other]) for one, other in self.pairs]
        return torch.stack([*outside.values(), *borders], -1)

    def _multipliers(self, side: int) -> Tensor:
        """(K, 8): each fact's multiplier in each orientation."""
        generator = torch.Generator().manual_seed(self.radius)
        drawn = torch.randint(1, 2**_MULTIPLIER_BITS, (len(self.cells) + len(self.pairs),), generator=generator)
        facts = [frozenset([cell]) for cell in self.cells] + [frozenset(pair) for pair in self.pairs]
        place = {fact: index for index, fact in enumerate(facts)}
        orientations = list(product((False, True), repeat=3))
        columns = [
            [int(drawn[place[frozenset(_turned(cell, side, *turn) for cell in fact)]]) for fact in facts]
            for turn in orientations
        ]
        return torch.tensor(columns, dtype=torch.float64).T.contiguous()


def _turned(cell: tuple[int, int], side: int, transposed: bool, mirrored: bool, upside_down: bool) -> tuple[int, int]:
    row, column = cell[::-1] if transposed else cell
    return side - 1 - row if upside_down else row, side - 1 - column if mirrored else column
