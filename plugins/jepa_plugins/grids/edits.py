"""Small edits of grids, batched, on the grids' device: one cell, two colours exchanged, a shift by one, a mirror image.

Every edit can be undone by one of the same kind that is as likely, so no direction along a chain of edits is marked.
Shapes: B grids of H × W cells, as in `transforms`. Draws come from torch's global generator of the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_plugins.grids.colours import OUTSIDE

NUM_COLOURS = OUTSIDE
"""Colours that a cell may have."""


def colours_of(grids: Tensor) -> Tensor:
    """Grids (B, ..., H, W) to (B, 10) bool: the colours that occur."""
    cells = grids.flatten(1)
    return torch.stack([(cells == colour).any(1) for colour in range(NUM_COLOURS)], 1)


def edited(grids: Tensor, sizes: Tensor, palette: Tensor) -> Tensor:
    """Each grid (B, H, W) of sizes (B, 2) with one random edit; never the same grid.

    `palette` (B, 10) bool has the colours that an edit may bring in; any other where it leaves no choice.
    """
    kind = torch.randint(len(_KINDS), (len(grids),), device=grids.device)
    changed = grids.clone()
    for number, edit in enumerate(_KINDS):
        rows = (kind == number).nonzero().squeeze(1)
        changed[rows] = edit(grids[rows], sizes[rows], palette[rows])
    rows = (changed == grids).flatten(1).all(1).nonzero().squeeze(1)
    changed[rows] = recoloured_cell(grids[rows], sizes[rows], palette[rows])
    return changed


def recoloured_cell(grids: Tensor, sizes: Tensor, palette: Tensor) -> Tensor:
    """One cell of each grid in another colour."""
    rows = torch.arange(len(grids), device=grids.device)
    row, column = (torch.rand(len(grids), 2, device=grids.device) * sizes).long().unbind(1)
    now = grids[rows, row, column].long()
    changed = grids.clone()
    changed[rows, row, column] = _drawn(palette, _marks(now)).to(grids.dtype)
    return changed


def exchanged_colours(grids: Tensor, sizes: Tensor, palette: Tensor) -> Tensor:  # noqa: ARG001  # all edits are called alike
    """Two colours of the palette change places."""
    first = _drawn(palette, torch.zeros_like(palette))
    second = _drawn(palette, _marks(first))
    a, b = (colour.to(grids.dtype)[:, None, None] for colour in (first, second))
    return torch.where(grids == a, b, torch.where(grids == b, a, grids))


def shifted_by_one(grids: Tensor, sizes: Tensor, palette: Tensor) -> Tensor:  # noqa: ARG001  # all edits are called alike
    """The content moves by one cell in one of four directions; what leaves on one side comes in on the other."""
    direction = torch.randint(4, (len(grids),), device=grids.device)
    step = torch.where(direction % 2 == 0, 1, -1)
    rows, columns = _coordinates(grids)
    height, width = sizes[:, 0, None].clamp(min=1), sizes[:, 1, None].clamp(min=1)
    rows = torch.where((direction < 2)[:, None], (rows - step[:, None]) % height, rows)
    columns = torch.where((direction >= 2)[:, None], (columns - step[:, None]) % width, columns)
    return _taken_from(grids, sizes, rows, columns)


def mirrored(grids: Tensor, sizes: Tensor, palette: Tensor) -> Tensor:  # noqa: ARG001  # all edits are called alike
    """Left and right, or top and bottom, change places."""
    is_vertical = (torch.rand(len(grids), device=grids.device) < 0.5)[:, None]
    rows, columns = _coordinates(grids)
    rows = torch.where(is_vertical, sizes[:, 0, None] - 1 - rows, rows)
    columns = torch.where(is_vertical, columns, sizes[:, 1, None] - 1 - columns)
    return _taken_from(grids, sizes, rows, columns)


def _coordinates(grids: Tensor) -> tuple[Tensor, Tensor]:
    """(1, H) and (1, W): the row and the column of every cell."""
    return tuple(torch.arange(side, device=grids.device)[None] for side in grids.shape[1:])  # type: ignore[return-value]  # two of them


def _taken_from(grids: Tensor, sizes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Cell (y, x) of each grid becomes that at (rows[y], columns[x]); the outside stays."""
    height, width = grids.shape[1:]
    rows, columns = rows.expand(len(grids), -1).clamp(0, height - 1), columns.expand(len(grids), -1).clamp(0, width - 1)
    source = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
    moved = grids.flatten(1).gather(1, source).view_as(grids)
    all_rows, all_columns = _coordinates(grids)
    is_inside = (all_rows < sizes[:, :1])[:, :, None] & (all_columns < sizes[:, 1:])[:, None, :]
    return torch.where(is_inside, moved, grids)


def _marks(colours: Tensor) -> Tensor:
    """(B,) to (B, 10) bool: true at each one's own colour."""
    return torch.arange(NUM_COLOURS, device=colours.device) == colours[:, None]


def _drawn(palette: Tensor, forbidden: Tensor) -> Tensor:
    """(B,) int64: a colour of the palette that is not forbidden, uniformly; any other colour where there is none."""
    allowed = palette & ~forbidden
    allowed = torch.where(allowed.any(1, keepdim=True), allowed, ~forbidden)
    return torch.where(allowed, torch.rand(allowed.shape, device=palette.device), -1.0).argmax(1)


_KINDS = (recoloured_cell, exchanged_colours, shifted_by_one, mirrored)
