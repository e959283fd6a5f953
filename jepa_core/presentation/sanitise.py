"""Making foreign text fit to print: names, messages and exception texts may hold escape sequences, and be endless.

rich and Textual pass ESC, C1, OSC 52 and bidirectional controls through, and read markup in plain strings: clean first,
then print as `Text`, never as markup.
"""

from __future__ import annotations

from jepa_core.visible_text import visible


def clean(text: str, limit: int = 500) -> str:
    """`text` on one line, with every character that is not printed as itself replaced by a visible one.

    Args:
        text: anything.
        limit: most characters of the result; what is cut off shows as "…".
    """
    shown = visible(text[: limit + 1])
    return shown if len(shown) <= limit else shown[: max(limit - 1, 0)] + "…"
