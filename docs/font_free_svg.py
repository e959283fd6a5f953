"""A terminal's picture that looks the same whatever fonts its viewer has.

Textual's SVG leaves charts to the braille of a font that may not be there, in a width that may be another. Here dots,
bars and lines are drawn as shapes, and words stand where their first cell is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

CELL_WIDTH, CELL_HEIGHT = 12.2, 24.4
FONTS = "'DejaVu Sans Mono', 'Fira Code', Menlo, Consolas, monospace"

_BASELINE = 18.5
"""From a cell's top to where its letters stand."""
_RUN = re.compile(r'<text class="([^"]+)" x="([\d.]+)" y="([\d.]+)" textLength="[\d.]+"[^>]*>([^<]*)</text>')
_FONT_FACE = re.compile(r"@font-face \{.*?\}", re.DOTALL)
_WORD = re.compile(r"[!-~]+(?: [!-~]+)*|[^\s\u00a0]")
_BRAILLE = 0x2800
_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""Column and row of each bit of a braille character."""
_BARS = "▁▂▃▄▅▆▇█"
_LINE = 1.4
_ARMS = {"─": "lr", "━": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ru", "┘": "lu", "├": "udr", "┤": "udl",
         "┬": "lrd", "┴": "lru", "┼": "lrud", "╶": "r", "╴": "l", "╷": "d", "╵": "u"}  # fmt: skip


def redrawn(svg: str) -> str:
    """Textual's SVG with its text as shapes and words."""
    plain = _FONT_FACE.sub("", svg).replace("Fira Code, monospace", FONTS)
    return _RUN.sub(_drawn_run, plain)


def _drawn_run(run: re.Match[str]) -> str:
    style, left, baseline = run[1], float(run[2]), float(run[3])
    top, content = baseline - _BASELINE, html.unescape(run[4]).replace("\u00a0", " ")
    shapes, words = [], []
    for word in _WORD.finditer(content):
        x = left + word.start() * CELL_WIDTH
        rectangles = list(_shape(word[0], x, top)) if len(word[0]) == 1 else []
        if rectangles:
            shapes += [f"M{a:.1f} {b:.1f}h{w:.1f}v{h:.1f}h{-w:.1f}z" for a, b, w, h in rectangles]
        else:
            words.append(_text(style, word[0], x, baseline))
    path = f'<path class="{style}" d="{"".join(shapes)}"/>' if shapes else ""
    return path + "".join(words)


def _text(style: str, word: str, x: float, baseline: float) -> str:
    if word.isascii():
        width = f' textLength="{len(word) * CELL_WIDTH:.1f}"'
        return f'<text class="{style}" x="{x:.1f}" y="{baseline:.1f}"{width}>{html.escape(word)}</text>'
    middle = f'x="{x + CELL_WIDTH / 2:.1f}" y="{baseline:.1f}" text-anchor="middle"'
    return f'<text class="{style}" {middle}>{html.escape(word)}</text>'


def _shape(character: str, x: float, y: float) -> Iterator[tuple[float, float, float, float]]:
    """The rectangles of a character, as left, top, width and height; none for one that is a letter."""
    code = ord(character) - _BRAILLE
    if 0 <= code < 256:
        for bit, (column, row) in enumerate(_DOTS):
            if code >> bit & 1:
                yield x + (column + 0.5) * CELL_WIDTH / 2 - 1.5, y + (row + 0.5) * CELL_HEIGHT / 4 - 1.5, 3, 3
    elif character in _BARS:
        height = (_BARS.index(character) + 1) * CELL_HEIGHT / 8
        yield x, y + CELL_HEIGHT - height, CELL_WIDTH, height
    elif character == "▔":
        yield x, y, CELL_WIDTH, CELL_HEIGHT / 8
    elif character in _ARMS:
        yield from _arms(_ARMS[character], x, y, 2.4 if character == "━" else _LINE)
    elif character == "┄":
        for third in range(3):
            yield x + (third + 0.2) * CELL_WIDTH / 3, y + CELL_HEIGHT / 2 - _LINE / 2, CELL_WIDTH / 5, _LINE
    elif character == "╎":
        for half in range(2):
            yield x + CELL_WIDTH / 2 - _LINE / 2, y + (half + 0.2) * CELL_HEIGHT / 2, _LINE, CELL_HEIGHT / 3.4


def _arms(arms: str, x: float, y: float, thickness: float) -> Iterator[tuple[float, float, float, float]]:
    """Lines from the cell's middle to its edges."""
    middle_x, middle_y, half = x + CELL_WIDTH / 2, y + CELL_HEIGHT / 2, thickness / 2
    if "l" in arms:
        yield x, middle_y - half, CELL_WIDTH / 2 + half, thickness
    if "r" in arms:
        yield middle_x - half, middle_y - half, CELL_WIDTH / 2 + half, thickness
    if "u" in arms:
        yield middle_x - half, y, thickness, CELL_HEIGHT / 2 + half
    if "d" in arms:
        yield middle_x - half, middle_y - half, thickness, CELL_HEIGHT / 2 + half
