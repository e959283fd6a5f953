"""An error's message as a terminal shows it: what a report of faults says beside its bar is as wide as the terminal.

Everything else stays in lines of its own, since paths and commands are copied from there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

_BAR = "│ "
_NARROWEST = 20
"""Columns that words have at least."""


def error_text(message: str, width: int) -> str:
    """The message, on `width` columns."""
    return "\n".join(shown for line in message.split("\n") for shown in _lines(line, width))


def _lines(line: str, width: int) -> Iterator[str]:
    """One line, or what is said beside the bar in several, each below the first one's words."""
    number, bar, said = line.partition(_BAR)
    if not bar or number.strip():  # a numbered line is the recipe's own
        yield line
        return
    before, indent = number + bar, len(said) - len(said.lstrip(" ^"))
    room = max(width - len(before) - indent, _NARROWEST)
    words = textwrap.wrap(said[indent:], room, break_long_words=False, break_on_hyphens=False) or [""]
    yield before + said[:indent] + words[0]
    yield from (before + " " * indent + further for further in words[1:])
