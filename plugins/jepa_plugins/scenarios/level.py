"""Rules on a figure's level, which single rows say nothing about: medians of a few rows, beside how rows scatter.

Noise that stays at its level must not fire them, whatever its kind; a level that is left must, within a few rows.
"""

from __future__ import annotations

RECENT = 5
"""Rows whose median is the level now: two outliers among them do not move it."""

BEFORE = 20
"""Rows whose median and spread say what is usual."""

BETWEEN = 10
"""Newest rows that are none of those: what rises slowly shall not become usual on its way."""

SPREADS = 6
"""Spreads above what is usual that noise does not reach, heavy tails included."""

SLOWER = 10
"""How many times as many rows a rise may take where rows follow each other closely."""


def now(name: str) -> str:
    """The level now."""
    return f"median({name}, {RECENT})"


def left(name: str, times: float) -> str:
    """That the level is so many times what it was just before, and well outside of how rows scatter."""
    return _left(name, times, recent=RECENT, before=BEFORE, between=BETWEEN)


def left_slowly(name: str, times: float) -> str:
    """The same over more rows, for rows that follow each other closely."""
    return _left(name, times, recent=4 * RECENT, before=SLOWER * BEFORE, between=SLOWER * BETWEEN)


def left_on_validation(name: str, times: float) -> str:
    """The same of validations: they are few, so fewer say what is usual, and more distance from it is wanted."""
    return _left(name, times, recent=3, before=10, between=3, spreads=8)


def _left(name: str, times: float, *, recent: int, before: int, between: int, spreads: int = SPREADS) -> str:
    usual, scatter = f"median({name}, {before}, {between})", f"spread({name}, {before}, {between})"
    return f"median({name}, {recent}) > {times:g} * {usual} + {spreads} * {scatter} and {usual} > 0"


def leapt(name: str, times: float) -> str:
    """That each of the newest three rows is so many times the highest of the three before: needs no long past."""
    return f"min({name}, 3) > {times:g} * max({name}, 3, 3) and max({name}, 3, 3) > 0"


def above_lowest(name: str, times: float) -> str:
    """That the level is so many times its lowest, and well outside of how rows scattered before."""
    lowest = f"lowest({name}, {RECENT})"
    scatter = f"spread({name}, {2 * RECENT}, {RECENT})"
    return f"{now(name)} > {times:g} * {lowest} + {SPREADS} * {scatter} and {lowest} > 0"
