"""Numbers for what surrounds each cell, the same however the grid is turned or mirrored.

Rotation-invariant local binary patterns (Ojala, Pietikäinen & Mäenpää 2002) carried over to grids of colours: a
pattern is the square of cells around a cell, told either by which neighbours in it differ, whatever their colours, or
by the colours themselves. Each of its eight orientations is hashed, and the least hash is the pattern's number.

Shapes: M grids of H × W cells, V views of a grid, N = H·W cells, K facts about a square, 8 orientations.
"""

# A custom operator's implementation and its fake have one list of arguments, given by place.
# ruff: noqa: ARG001, PLR0917

from __future__ import annotations

from itertools import product
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.triton_use import has_kernels, operator

Told = Literal["borders", "colours"]
Cut = Literal["whole", "levels", "masks"]
NUM_VIEWS = {"whole": 1, "levels": OUTSIDE - 1, "masks": OUTSIDE}
"""A level holds the cells above a colour number, a mask those of a colour."""


_PRIME = 2**31 - 1
_CELLS = 32
"""Of a program."""
_MULTIPLIER_BITS = 28
"""A sum of products stays exact in float64."""


class LocalPatterns(nn.Module):
    """Grids to the number of each cell's pattern, 0 … bins − 1."""

    multipliers: Tensor
    """(K, 8)."""
    shifts: Tensor
    """(4, K') int32, K padded to a power of two: y and x of each fact's one cell, y and x of its other."""
    digits: Tensor
    """(4, K', 16) int8: the multipliers in four digits of seven bits, the least first, with each orientation twice."""

    def __init__(self, radius: int, told: Told, bins: int) -> None:
        super().__init__()
        self.radius, self.told, self.bins = radius, told, bins
        side = 2 * radius + 1
        cells = [(row, column) for row in range(side) for column in range(side)]
        pairs = [((r, c), (r + dr, c + dc)) for r, c in cells for dr, dc in ((0, 1), (1, 0)) if r + dr < side > c + dc]
        self.cells = cells
        self.pairs = pairs if told == "borders" else []
        multipliers = self._multipliers(side)
        self.register_buffer("multipliers", multipliers, persistent=False)
        # Tensor cores take bytes in multiples of 32 by 16.
        padding = max(32, 1 << (len(multipliers) - 1).bit_length()) - len(multipliers)
        meetings = torch.tensor([[*one, *other] for one, other in (*zip(cells, cells, strict=True), *self.pairs)])
        self.register_buffer("shifts", F.pad(meetings.T.int() - radius, (0, padding)).contiguous(), persistent=False)
        digits = torch.stack([multipliers.long() >> place & 127 for place in (0, 7, 14, 21)]).to(torch.int8)
        self.register_buffer("digits", F.pad(digits.repeat(1, 1, 2), (0, 0, 0, padding)).contiguous(), persistent=False)

    def forward(self, grids: Tensor, cut: Cut = "whole") -> Tensor:
        """Grids (M, H, W) uint8 to numbers (V, M, H·W) int32; ~number where a square has no border to tell of."""
        if has_kernels(grids) and grids.numel():
            first_pair = len(self.cells) if self.pairs else 0
            by_kernel: Tensor = _number_patterns(grids, self.shifts, self.digits, self.bins, first_pair, cut)
            return by_kernel
        facts_VMNK = self.facts(views(grids, cut).flatten(0, 1)).unflatten(0, (-1, len(grids)))
        numbers = self.numbers(facts_VMNK).int()
        return torch.where(self.told_by(facts_VMNK), numbers, ~numbers)

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
        drawn = torch.randint(
            1, 2**_MULTIPLIER_BITS, (len(self.cells) + len(self.pairs),), generator=generator, device=generator.device
        )
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


def views(grids: Tensor, cut: Cut) -> Tensor:
    """(V, M, H, W): the grids; or two colours, 0 and 1, for each level or mask, with the outside kept."""
    if cut == "whole":
        return grids.unsqueeze(0)
    colours = torch.arange(NUM_VIEWS[cut], device=grids.device, dtype=grids.dtype)[:, None, None, None]
    chosen = grids > colours if cut == "levels" else grids == colours
    return torch.where(grids == OUTSIDE, grids, chosen.to(grids.dtype))


@operator("number_patterns")
def _number_patterns(grids: Tensor, shifts: Tensor, digits: Tensor, bins: int, first_pair: int, cut: str) -> Tensor:
    from jepa_plugins.grids.local_pattern_kernels import number_patterns

    numbers: Tensor = _like_numbers(grids, shifts, digits, bins, first_pair, cut)
    number_patterns[(-(-grids.numel() // _CELLS),)](
        grids.contiguous(), shifts, digits, numbers, len(numbers), grids.numel(), *grids.shape[1:], bins, first_pair,
        int(cut == "levels"), cut != "whole", OUTSIDE, first_pair > 0, _CELLS, digits.shape[1], num_warps=2,
    )  # fmt: skip
    return numbers


@_number_patterns.register_fake
def _like_numbers(grids: Tensor, shifts: Tensor, digits: Tensor, bins: int, first_pair: int, cut: str) -> Tensor:
    return torch.empty(NUM_VIEWS[cut], len(grids), grids[0].numel(), dtype=torch.int32, device=grids.device)
