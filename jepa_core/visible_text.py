"""Foreign text made fit to print: names, messages and exception texts may hold escape sequences, and be endless.

rich and Textual pass ESC, C1, OSC 52 and bidirectional controls through, and read markup in plain strings: clean first,
then print as `Text`, or with `markup=False`. Knows neither of them.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Collection
from itertools import pairwise

from jepa_core.shell_words import with_comment, without_comment

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CONTROL_PICTURES = 0x2400
_RUNS_CODE = "--plugin"
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
    if text.isascii() and text.isprintable():  # most of what is printed, and a list of runs has thousands
        return text
    return "".join(map(_visible_character, text))


def visible_lines(text: str) -> str:
    """The same with its lines kept, for messages of several and tracebacks."""
    return "\n".join(map(visible, text.split("\n")))


def own_command(text: str, commands: Collection[str]) -> str:
    """A command of this program that somebody's file says, quoted so that a shell takes it for nothing else, with the
    comment behind it; empty where it is no such command. Files whose code it would run are left out.

    Args:
        text: such as "jepa eval latest --plugin my_loss.py  # the best checkpoint".
        commands: names of commands that may be said.
    """
    typed, why = without_comment(text)
    try:
        words = shlex.split(visible(typed))
    except ValueError:
        return ""
    if len(words) < 2 or words[0] != "jepa" or words[1] not in commands:
        return ""
    named = [word for before, word in pairwise(["", *words]) if before != _RUNS_CODE]
    kept = [word for word in named if word.partition("=")[0] != _RUNS_CODE]
    return with_comment(shlex.join(kept), visible(why))


def escaped(text: str) -> str:
    """JSON that says the same, in which every character that is not printed as itself is written as an escape."""
    return "".join(map(_escaped_character, text))


def _escaped_character(character: str) -> str:
    # Within strings JSON has escaped line ends already.
    if character == "\n" or unicodedata.category(character) not in _INVISIBLE:
        return character
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _visible_character(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    return _DELETE_PICTURE if code == _DELETE else "\N{REPLACEMENT CHARACTER}"
