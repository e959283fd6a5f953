"""The space of grids: `grid` (…, H, W) uint8, content top left and the outside beyond it, and `size` (…, 2) int64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.errors import DataError
from jepa_core.observations import Observations
from jepa_core.settings import setting
from jepa_core.spaces import Edit, Fill, SpaceAudit, require, shape_text
from jepa_plugins.grids.audit import audited_grids
from jepa_plugins.grids.colours import NUM_COLOURS, OUTSIDE
from jepa_plugins.grids.edits import colours_of, edited
from jepa_plugins.grids.pictures import pictures_of

_KEYS_AT_ONCE = 4096
_LISTS_AT_ONCE = 32
_ROWS_AT_ONCE = 4096


@attrs.frozen(kw_only=True)
class GridSpace:
    """Grids of ten colours in square arrays of `side` × `side` cells."""

    kind: ClassVar[str] = "grid"
    plural: ClassVar[str] = "grids"

    side: int = setting("cells of a side of the arrays", at_least=1, unit="cells")

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A usual one, and one of a single cell."""
        return cls(side=7), cls(side=1)

    def sample(self, num: int, fill: Fill = "some") -> Observations:
        """Grids of different sizes, the first as large as can be; all background where there is nothing in them."""
        sizes = torch.randint(1, self.side + 1, (num, 2))
        sizes[:1] = self.side
        colours = torch.randint(1, OUTSIDE, (num, self.side, self.side))
        share = {"some": 0.6, "none": 0.0, "all": 1.0}[fill]
        content = torch.where(torch.rand(num, self.side, self.side) < share, colours, 0)
        grids = torch.where(_is_inside(sizes, self.side), content, OUTSIDE).to(torch.uint8)
        return Observations({"grid": grids, "size": sizes})

    def check(self, observations: Observations) -> None:
        """Square bytes: content stands top left, and the rest is outside.

        Raises:
            ValueError: it is not so.
        """
        form = {name: (tensor.dtype, tuple(tensor.shape[2:])) for name, tensor in observations.tensors.items()}
        require(form.keys() == {"grid", "size"}, f"its tensors are {', '.join(form)}: grids have grid and size")
        shape = form["grid"][1]
        require(form["grid"][0] == torch.uint8, f"grids are {form['grid'][0]}, not torch.uint8{_hint(form['grid'])}")
        require(shape == (self.side, self.side), f"grids are {shape_text(shape)}, not {self.side} × {self.side}")
        require(
            form["size"] == (torch.int64, (2,)),
            f"sizes are {form['size'][0]} of shape {form['size'][1]}, not torch.int64 of shape (2,)",
        )
        smallest, largest = int(observations["size"].min()), int(observations["size"].max())
        require(1 <= smallest <= largest <= self.side, f"sizes are {smallest} … {largest}, on a side of {self.side}")
        num_wrong, first, start = 0, None, 0
        for part in observations.split(_ROWS_AT_ONCE):
            grids, sizes = part["grid"], part["size"]
            wrong = ((grids < OUTSIDE) != _is_inside(sizes, self.side)) | (grids > OUTSIDE)
            num_wrong += int(wrong.sum())
            if num_wrong and first is None:
                place = wrong.nonzero()[0].tolist()
                first = [start + place[0], *place[1:]]
            start += len(part)
        require(first is None, f"{num_wrong:,} cells are not as the sizes say, first grid{first}")

    def describe(self) -> str:
        """In the plural."""
        return f"grids of up to {self.side} × {self.side} cells"

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
        parts = cells.reshape(-1, cells.shape[-1]).split(_KEYS_AT_ONCE)
        return torch.cat([((part.long() + 1) * factors).sum(-1) for part in parts]).view(cells.shape[:-1])

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

    def features(self, observations: Observations) -> Mapping[str, Tensor]:
        """Cells, one number for each place and colour."""
        cells = observations["grid"].flatten(1).long()
        return {"cells": F.one_hot(cells, NUM_COLOURS).flatten(1).float()}

    def pictures(self, observations: Observations) -> Tensor:
        """(M, 4 · side, 4 · side, 3): ten colours on white, every grid enlarged as far as it fits."""
        return pictures_of(observations["grid"], observations["size"])

    def audit(self, observations: Observations, encoder: Any) -> SpaceAudit:
        """Sizes, objects, empty grids; and the objects that the encoder leaves out."""
        return audited_grids(observations, getattr(encoder, "max_objects", None))


def _is_inside(sizes: Tensor, side: int) -> Tensor:
    """Sizes (…, 2) to (…, side, side) bool: the cells within them."""
    cells = torch.arange(side, device=sizes.device)
    return (cells[:, None] < sizes[..., :1, None]) & (cells < sizes[..., 1:, None])


def _hint(form: tuple[torch.dtype, tuple[int, ...]]) -> str:
    """What is likely meant by grids of another type."""
    dtype, shape = form
    if len(shape) == 3 or dtype.is_floating_point:
        return ": pictures are of another space, such as that of images"
    return ""
