"""Transforms of grids, batched, on the grids' device: colour permutation, dihedral group, flips, translation.

Shapes: B sequences, G grids in each (context and target), H × W cells with H = W. Grids are uint8 (B, G, H, W), sizes
int64 (B, G, 2) as (height, width); content lies in the top left corner and cells beyond it hold `OUTSIDE`, which no
transform moves inside. One draw serves all grids of a sequence. Draws come from torch's global generator of the
device; nothing waits for the device. Knows nothing of recipes, losses or datasets.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_plugins.grids.colours import OUTSIDE

NUM_DIHEDRAL = 8
"""Elements of the dihedral group of the square: bit 0 mirrors left and right, bit 1 top and bottom, after bit 2 has
transposed."""


def permute_colours(grids: Tensor, permutation_B10: Tensor) -> Tensor:
    """Every cell of colour c becomes `permutation_B10[b, c]`; cells outside stay outside."""
    outside = torch.full_like(permutation_B10[:, :1], OUTSIDE)
    table_B11 = torch.cat([permutation_B10, outside], dim=1).to(grids.dtype)
    return table_B11.gather(1, grids.flatten(1).long()).view_as(grids)


def random_colour_permutation(num: int, device: torch.device | str, keep_background: bool = True) -> Tensor:
    """(num, 10) int64: uniformly drawn permutations of the ten colours; 0 maps to 0 when the background is kept."""
    num_kept = int(keep_background)
    kept = torch.zeros(num, num_kept, dtype=torch.int64, device=device)
    drawn = torch.rand(num, 10 - num_kept, device=device).argsort(dim=1) + num_kept
    return torch.cat([kept, drawn], dim=1)


def apply_dihedral(grids: Tensor, sizes: Tensor, element_B: Tensor) -> tuple[Tensor, Tensor]:
    """Act on each grid within its own size with element 0–7 of the dihedral group, as `NUM_DIHEDRAL` numbers them.

    Transposing elements swap height and width.
    """
    transposed = (element_B // 4 % 2 == 1)[:, None, None]
    turned_sizes = torch.where(transposed, sizes.flip(-1), sizes)
    rows, columns = _mirrored_coordinates(grids, turned_sizes, element_B % 2 == 1, element_B // 2 % 2 == 1)
    source_rows = torch.where(transposed[..., None], columns, rows)
    source_columns = torch.where(transposed[..., None], rows, columns)
    return _look_up(grids, source_rows, source_columns, turned_sizes, fill=OUTSIDE), turned_sizes


def random_dihedral(num: int, device: torch.device | str) -> Tensor:
    """(num,) int64: uniformly drawn elements of the dihedral group."""
    return torch.randint(NUM_DIHEDRAL, (num,), device=device)


def flip(grids: Tensor, sizes: Tensor, horizontal_B: Tensor, vertical_B: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror left and right where `horizontal_B`, top and bottom where `vertical_B`, each grid within its own size."""
    rows, columns = _mirrored_coordinates(grids, sizes, horizontal_B, vertical_B)
    return _look_up(grids, rows, columns, sizes, fill=OUTSIDE), sizes


def random_translation(grids: Tensor, sizes: Tensor, max_share: float = 1.0) -> tuple[Tensor, Tensor]:
    """Shift the content, cells of colours 1–9, by one random (dy, dx) that is the same for all grids of a sequence.

    Drawn uniformly among the shifts that lose no such cell of any grid and go no farther than `max_share` of the
    smallest grid's side. Cells moved in hold 0. A sequence that allows no shift stays as it is.
    """
    least, most = _allowed_shifts(grids, sizes)
    limit_B2 = (sizes.amin(dim=1) * max_share + 1e-4).long()
    least, most = torch.maximum(least, -limit_B2), torch.minimum(most, limit_B2)
    span = (most - least + 1).float()
    shift_B2 = least + torch.minimum((torch.rand_like(span) * span).long(), most - least)
    return translate(grids, sizes, shift_B2), sizes


def random_enlargement(grids: Tensor, sizes: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Draw every cell as 2 × 2 cells in a share of the sequences, where no grid of them becomes too large."""
    side = grids.shape[-1]
    index = torch.arange(side, device=grids.device) // 2
    enlarged = grids[..., index, :][..., index]
    fits_B = (2 * sizes <= side).all(-1).all(-1)
    is_drawn_B = fits_B & (torch.rand(len(grids), device=grids.device) < share)
    chosen_B11 = is_drawn_B[:, None, None]
    return torch.where(chosen_B11.unsqueeze(-1), enlarged, grids), torch.where(chosen_B11, 2 * sizes, sizes)


def translate(grids: Tensor, sizes: Tensor, shift_B2: Tensor) -> Tensor:
    """Shift each grid within its own size by (dy, dx) cells, down and right; cells moved in hold 0."""
    side = torch.arange(grids.shape[-1], device=grids.device)
    rows = side[:, None] - shift_B2[:, 0, None, None, None]
    columns = side - shift_B2[:, 1, None, None, None]
    content = torch.where(grids < OUTSIDE, grids, 0)
    moved = _look_up(content, rows.expand_as(grids), columns.expand_as(grids), sizes, fill=0)
    return torch.where(_inside(grids, sizes), moved, OUTSIDE)


def random_wrap(grids: Tensor, sizes: Tensor) -> Tensor:
    """Shift the content by one random (dy, dx) for all grids of a sequence; what leaves at an edge enters opposite.

    Each grid is a torus of its own size; where a sequence's grids differ in size, so does where they wrap.
    """
    longest_B2 = sizes.amax(dim=1)
    shift_B2 = (torch.rand(longest_B2.shape, device=grids.device) * longest_B2).long()
    return wrap(grids, sizes, shift_B2)


def wrap(grids: Tensor, sizes: Tensor, shift_B2: Tensor) -> Tensor:
    """Shift each grid by (dy, dx) cells, down and right, around the edges of its own size."""
    side = torch.arange(grids.shape[-1], device=grids.device)
    rows = (side - shift_B2[:, 0, None, None]).remainder(sizes[..., 0, None])
    columns = (side - shift_B2[:, 1, None, None]).remainder(sizes[..., 1, None])
    return _look_up(
        grids, rows[..., :, None].expand_as(grids), columns[..., None, :].expand_as(grids), sizes, fill=OUTSIDE
    )


def _allowed_shifts(grids: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 2) each: the lowest and highest (dy, dx) that keep the content of all grids inside."""
    content = (grids > 0) & (grids < OUTSIDE)
    before, after = [], []
    for occupied, length in ((content.any(-1), sizes[..., 0]), (content.any(-2), sizes[..., 1])):
        index = torch.arange(occupied.shape[-1], device=grids.device)
        # A grid without content allows any shift: its margins are its whole length.
        first = torch.where(occupied, index, length[..., None]).amin(-1)
        last = torch.where(occupied, index, -1).amax(-1)
        before.append(first.amin(1))
        after.append((length - 1 - last).amin(1))
    return -torch.stack(before, dim=-1), torch.stack(after, dim=-1)


def _mirrored_coordinates(
    grids: Tensor, sizes: Tensor, horizontal_B: Tensor, vertical_B: Tensor
) -> tuple[Tensor, Tensor]:
    """(B, G, H, W) each: row and column that each cell takes its colour from."""
    side = torch.arange(grids.shape[-1], device=grids.device)
    height, width = sizes[..., 0, None], sizes[..., 1, None]
    rows = torch.where(vertical_B[:, None, None], height - 1 - side, side)
    columns = torch.where(horizontal_B[:, None, None], width - 1 - side, side)
    return rows[..., :, None].expand_as(grids), columns[..., None, :].expand_as(grids)


def _look_up(grids: Tensor, rows: Tensor, columns: Tensor, sizes: Tensor, *, fill: int) -> Tensor:
    """Colour at (rows, columns) of each grid, `fill` where that is not a cell of the grid's array.

    `sizes` are those of the result: a mirrored coordinate is negative exactly beyond them.
    """
    side = grids.shape[-1]
    source = (rows.clamp(0, side - 1) * side + columns.clamp(0, side - 1)).flatten(2)
    colours = grids.flatten(2).gather(2, source).view_as(grids)
    is_cell = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    return torch.where(is_cell & _inside(grids, sizes), colours, fill)


def _inside(grids: Tensor, sizes: Tensor) -> Tensor:
    """(B, G, H, W) bool: which cells lie within each grid's size."""
    side = torch.arange(grids.shape[-1], device=grids.device)
    return (side[:, None] < sizes[..., 0, None, None]) & (side < sizes[..., 1, None, None])
