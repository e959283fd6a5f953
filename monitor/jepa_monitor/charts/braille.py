"""From dots to characters: two by four to a cell in braille, one by three in ASCII.

A curve covers one run of dots in each dot column, so a cell's character follows from where the run begins and ends.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

BLANK = 0x20
_BRAILLE = 0x2800
_BRAILLE_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Of the left and of the right dot column, from the top."""


@attrs.frozen(kw_only=True, eq=False)
class DotCells:
    """How many dots a cell has, and the character for each set of them."""

    across: int
    down: int
    bits: NDArray[np.uint8]
    """(across, down + 1, down + 1): bits of the dots from the first to before the second index, from the top."""
    characters: NDArray[np.uint32]
    """(256,) code point for each set of bits."""
    adds_up: bool
    """Whether there is a character for any two sets together."""

    def bits_of(self, top: NDArray[np.intp], bottom: NDArray[np.intp], num_rows: int) -> NDArray[np.uint8]:
        """Bits (num_rows, C / across) of runs from `top` (C,) down to `bottom` (C,), dots counted from the top.

        A run whose bottom lies above its top is empty.
        """
        first_dots = np.arange(num_rows)[:, np.newaxis] * self.down
        start = np.clip(top - first_dots, 0, self.down)
        stop = np.clip(bottom + 1 - first_dots, 0, self.down)
        side = np.arange(len(top)) % self.across
        bits = self.bits[side, start, stop]
        combined: NDArray[np.uint8] = np.bitwise_or.reduce(bits.reshape(num_rows, -1, self.across), axis=2)
        return combined


def _braille() -> DotCells:
    characters = np.arange(_BRAILLE, _BRAILLE + 256, dtype=np.uint32)
    characters[0] = BLANK
    return DotCells(across=2, down=4, bits=_bits(_BRAILLE_BITS), characters=characters, adds_up=True)


def _ascii() -> DotCells:
    characters = np.full(256, BLANK, dtype=np.uint32)
    for dots, character in {0b001: "'", 0b010: "-", 0b100: ".", 0b011: "^", 0b110: ":", 0b111: "|"}.items():
        characters[dots] = ord(character)
    return DotCells(across=1, down=3, bits=_bits(((1, 2, 4),)), characters=characters, adds_up=False)


def _bits(dots: tuple[tuple[int, ...], ...]) -> NDArray[np.uint8]:
    down = len(dots[0])
    table = np.zeros((len(dots), down + 1, down + 1), dtype=np.uint8)
    for side, values in enumerate(dots):
        for start in range(down):
            for stop in range(start + 1, down + 1):
                table[side, start, stop] = sum(values[start:stop])
    return table


BRAILLE_CELLS = _braille()
ASCII_CELLS = _ascii()
