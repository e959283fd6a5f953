"""How charts are coloured and which characters they may use. What the roles of colour mean is in `spec.Tone`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import attrs
from rich.cells import get_character_cell_size
from rich.style import Style

from jepa_core.presentation.terminal import plain_text
from jepa_core.visible_text import clean
from jepa_monitor.charts.glyphs import ASCII, UNICODE, Glyphs
from jepa_monitor.charts.spec import Tone

TONES: tuple[Tone, ...] = get_args(Tone)

COLOURS: Mapping[Tone, str] = {
    "accent": "#56b4e9",
    "second": "#e69f00",
    "third": "#cc79a7",
    "fourth": "#b8b8ff",
    "good": "#35b58a",
    "warning": "#e3c800",
    "bad": "#ff6b5e",
    "dim": "#7a828c",
    "plain": "#dfe3e8",
}
"""After Okabe and Ito's palette, which colour-blind readers can tell apart; lightened for dark grounds."""

_WITHOUT_COLOUR: Mapping[Tone, str] = {"dim": "dim", "warning": "bold", "bad": "bold", "accent": "bold"}


@attrs.frozen(kw_only=True)
class Look:
    """What the reader's terminal and theme allow."""

    ascii: bool = False
    """No character above 0x7E."""
    no_colour: bool = False
    """Tones differ by weight alone, and curves by density and letters."""
    colours: Mapping[Tone, str] = COLOURS
    """Anything rich reads as a style, by tone."""
    styles: tuple[Style, ...] = attrs.field(init=False, eq=False, repr=False)
    """In the order of `TONES`."""

    @styles.default
    def _parse_styles(self) -> tuple[Style, ...]:
        given = _WITHOUT_COLOUR if self.no_colour else self.colours
        return tuple(Style.parse(given.get(tone, "")) for tone in TONES)

    @property
    def glyphs(self) -> Glyphs:
        return ASCII if self.ascii else UNICODE

    def style(self, tone: Tone) -> Style:
        return self.styles[TONES.index(tone)]

    def text(self, foreign: str, limit: int = 500) -> str:
        """`foreign` on one line, fit to be shown: cleaned, no characters of no width, ASCII where asked for."""
        shown = clean(foreign, limit)
        if shown.isascii():
            return shown
        if self.ascii:
            return plain_text(shown)
        return "".join(character for character in shown if get_character_cell_size(character))
