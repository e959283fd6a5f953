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


class Violation(Exception):  # noqa: N818  # a finding about a component, not an error of the program
    """The component breaks the promise; the text says how, with the value that shows it."""


class Stalled(Violation):
    """The component waits for what does not come. To find it takes seconds, so no smaller example is looked for."""


class NotApplicable(Exception):  # noqa: N818  # likewise
    """The check says nothing about this component; the text says why."""


def require(kept: bool, message: str) -> None:
    """Raise Violation unless the promise is kept."""
    if not kept:
        raise Violation(message)


def place_of(error: BaseException) -> str:
    """Of the traceback the last line in the component's own source, such as " (my_loss.py:31)"; "" where there is none:
    neither the kit's nor the crew's nor torch's."""
    paths = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [(path, line) for path, line in paths if not any(path.is_relative_to(folder) for folder in _NOT_ITS_OWN)]
    return f" ({own[-1][0]}:{own[-1][1]})" if own else ""
