"""How a check says that a promise is broken, or that it has nothing to say."""

from __future__ import annotations


class Violation(Exception):  # noqa: N818  # a finding about a component, not an error of the program
    """The component breaks the promise; the text says how, with the value that shows it."""


class NotApplicable(Exception):  # noqa: N818  # likewise
    """The check says nothing about this component; the text says why."""


def require(kept: bool, message: str) -> None:
    """Raise Violation unless the promise is kept."""
    if not kept:
        raise Violation(message)
