"""TOML of strangers, read in a bounded time: tomllib needs minutes for a dotted key of 60 KB, and then overflows."""

from __future__ import annotations

import re
import tomllib
from typing import Any

MOST_KEYS = 16
"""Keys in a dotted one."""

DEEPEST = 32
"""Lists and inline tables within each other."""

MOST_ENTRIES = 4000
"""Keys, lists and their values in a text."""

# What is not closed is a token all the same, or every quote would be searched to the end.
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\[^\n])*+"?+|'[^'\n]*+'?+)"""
_TOKEN = re.compile(
    rf"""
    [#][^\n]*+
    | \"\"\"(?:[^"\\]|\\.|"(?!""))*+(?:\"\"\")?+ | '''(?:[^']|'(?!''))*+(?:''')?+
    | (?P<key>{_PART}(?:[ \t]*+\.[ \t]*+{_PART})*+)
    | (?P<sign>[=,\[\]{{}}])
    """,
    re.VERBOSE | re.DOTALL,
)
_KEY = re.compile(_PART)
_SHORTEST = 2 * MOST_KEYS
"""Characters of a dotted key that may have too many parts."""


def parsed_toml(text: str) -> dict[str, Any]:
    """What the text says.

    Raises:
        TooMuchError: it has more than a text of ours ever has.
        tomllib.TOMLDecodeError: it is not TOML.
        ValueError: a number in it is too long.
    """
    _measure(text)
    return tomllib.loads(text)


class TooMuchError(ValueError):
    """A text is larger in some way than any that is meant."""

    def __init__(self, what: str, place: int) -> None:
        self.place = place
        """Index of the character at which it is."""
        super().__init__(what)


def _measure(text: str) -> None:
    """
    Raises:
        TooMuchError: see there.
    """
    entries = depth = 0
    for token in _TOKEN.finditer(text):
        sign, key = token["sign"], token["key"]
        if key is not None:
            if len(key) > _SHORTEST and len(_KEY.findall(key)) > MOST_KEYS:
                raise TooMuchError(f"a dotted key of more than {MOST_KEYS} parts", token.start())
            continue
        if sign is None:
            continue
        depth += (sign in "[{") - (sign in "]}")
        entries += sign not in "]}"
        if depth > DEEPEST:
            raise TooMuchError(f"lists or tables nested more than {DEEPEST} deep", token.start())
        if entries > MOST_ENTRIES:
            raise TooMuchError(f"more than {MOST_ENTRIES} keys, lists and values", token.start())
