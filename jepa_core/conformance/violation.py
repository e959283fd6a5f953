"""How a check says that a promise is broken, or that it has nothing to say."""

from __future__ import annotations

import contextlib
import traceback
from pathlib import Path

import attrs
import torch

from jepa_core import crew

_NOT_ITS_OWN = (
    Path(__file__).parent,
    Path(crew.__file__),
    Path(torch.__file__).parent,
    Path(attrs.__file__).parents[1] / "attr",
    Path(contextlib.__file__),
)


@attrs.frozen
class Raised:
    """An exception of a component."""

    kind: str
    """The name of its class."""
    place: str
    """The last line of the component's own source that it came through, such as "my_loss.py:31"; or empty."""


class Violation(Exception):  # noqa: N818  # a finding about a component, not an error of the program
    """The component breaks the promise; the text says how, with the value that shows it."""

    raised: Raised | None = None
    """What the component raised, where that is what is wrong."""


class Stalled(Violation):
    """The component waits for what does not come. To find it takes seconds, so no smaller example is looked for."""


class NotApplicable(Exception):  # noqa: N818  # likewise
    """The check says nothing about this component; the text says why."""


def require(kept: bool, message: str) -> None:
    """Raise Violation unless the promise is kept."""
    if not kept:
        raise Violation(message)


def raised(error: BaseException) -> Raised:
    """What a component raised."""
    return Raised(type(error).__name__, _place(error))


def place_of(error: BaseException) -> str:
    """Of the traceback the last line in the component's own source, such as " (my_loss.py:31)"; "" where there is none:
    neither the kit's nor the crew's nor torch's."""
    place = _place(error)
    return f" ({place})" if place else ""


def _place(error: BaseException) -> str:
    paths = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [(path, line) for path, line in paths if not any(path.is_relative_to(folder) for folder in _NOT_ITS_OWN)]
    return f"{own[-1][0]}:{own[-1][1]}" if own else ""
