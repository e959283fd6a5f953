"""How a codebook is used, as rows of cells in the order of the codes: the higher a cell, the more use its codes have.

Knows nothing of runs or of codebooks: takes one count for each code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from jepa_monitor.charts.canvas import Canvas, ChartImage, fitted
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.scale import NEAREST
from jepa_monitor.charts.spec import Floats, Tone

_NOTHING = "no codes"
_SLACK = 1e-9
"""Of a level: a whole number of halvings is one whatever the rounding."""


def draw_heat_strip(counts: Floats | Sequence[float], width: int, rows: int, look: Look) -> ChartImage:
    """The use of every code in `width` × `rows` cells, code 0 at the top left.

    Each level of height is twice the one below. Where there are more codes than cells, a cell stands for several
    neighbours and shows the most used of them. A cell whose codes are all dead has a sign of its own, and one of whose
    codes more than half are dead is in another tone.

    Args:
        counts: (K,) how often each code was chosen; nothing, negative and non-finite counts are dead codes.
        width: of the image, in cells.
        rows: of the image.
        look: its characters and tones.
    """
    canvas = Canvas(max(width, 0), max(rows, 0))
    uses = np.nan_to_num(np.asarray(counts, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0).clip(min=0.0)
    if not uses.size and rows > 0:
        note = fitted(_NOTHING, canvas.width, look)
        canvas.put((rows - 1) // 2, (canvas.width - cell_len(note)) // 2, note, "dim")
    if not uses.size or width < 1 or rows < 1:
        return canvas.image(look)
    num_cells = min(uses.size, width * rows)
    firsts = np.arange(num_cells) * uses.size // num_cells
    used = np.maximum.reduceat(uses, firsts)
    num_codes = np.diff(np.append(firsts, uses.size))
    num_dead = np.add.reduceat((uses == 0).astype(np.intp), firsts)
    levels = _levels(used, look.glyphs.heat_levels)
    dead = num_dead == num_codes
    mostly_dead = ~dead & (2 * num_dead > num_codes)
    tones: tuple[tuple[NDArray[np.bool_], Tone], ...] = (
        (~dead & ~mostly_dead, "accent"),
        (mostly_dead, "warning"),
        (dead, "bad"),
    )
    for row in range(rows):
        for where, tone in tones:
            shown = np.where(where, np.where(dead, ord(look.glyphs.dead), levels), ord(" "))
            part = shown[row * width : (row + 1) * width].astype(np.uint32)
            canvas.overlay(row, 0, part[np.newaxis], tone)
    return canvas.image(look)


def _levels(used: NDArray[np.float64], characters: str) -> NDArray[np.uint32]:
    """A character for each use: the highest for the greatest, each lower one for half of the one above."""
    codes = np.array([ord(character) for character in characters], dtype=np.uint32)
    shares = used / max(float(used.max()), NEAREST)
    halvings = np.log2(shares, out=np.full(shares.shape, -np.inf), where=shares > 0)
    levels: NDArray[np.uint32] = codes[
        np.clip(np.ceil(len(codes) + halvings - _SLACK) - 1, 0, len(codes) - 1).astype(np.intp)
    ]
    return levels
