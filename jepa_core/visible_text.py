"""Foreign text made fit to print: names, messages and exception texts may hold escape sequences, and be endless.

rich and Textual pass ESC, C1, OSC 52 and bidirectional controls through, and read markup in plain strings: clean first,
then print as `Text`, or with `markup=False`. Knows neither of them.
"""

from __future__ import annotations

import unicodedata

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CONTROL_PICTURES = 0x2400
_DELETE, _DELETE_PICTURE = 0x7F, "␡"


def clean(text: str, limit: int = 500) -> str:
    """`text` on one line, with every character that is not printed as itself replaced by a visible one.

    Args:
        text: anything.
        limit: most characters of the result; what is cut off shows as "…".
    """
    shown = visible(text[: limit + 1])
    return shown if len(shown) <= limit else shown[: max(limit - 1, 0)] + "…"


def visible(text: str) -> str:
    """The same number of characters, none of which can move the cursor, reorder text or hide."""
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    return _DELETE_PICTURE if code == _DELETE else "\N{REPLACEMENT CHARACTER}"
