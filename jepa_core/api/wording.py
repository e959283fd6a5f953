"""Refusals in the words of Python: what refuses is shared with the commands, and names their flags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jepa_core.errors import JepaError

if TYPE_CHECKING:
    from jepa_core.recipes.faults import RecipeFaultsError


def _resume(found: re.Match[str]) -> str:
    name = found[1].strip("'")
    return f'jepa.resume("{name}")'


_SET = "--set "
_WORDS = tuple(
    (re.compile(rf"(?<!\S){shell}"), python)
    for shell, python in (
        (r"jepa run --resume ('[^'\n]*'|[^\s']\S*)(?: --(?:no-)?plugin \S+)*", _resume),
        (r"jepa run --resume\b", "jepa.resume"),
        (r"--force\b", "replace=True"),
        (r"--set ([\w.]+)=(\S+)", r'set={"\1": \2}'),
        (r"--plugin ([^:\n]+)", r'plugins=["\1"]'),
        (r"--(device|step) ('[^'\n]*')", r"\1=\2"),
        (r"--(device|step) (\w+(?::\d+)?)", r"\1='\2'"),
        (r"--(device|step|set)\b", r"\1"),
        (r"--runs-dir\b", "runs_dir"),
    )
)


@contextmanager
def in_python_words() -> Iterator[None]:
    """A JepaError raised inside names arguments, `replace=True`, where it named flags, `--force`."""
    try:
        yield
    except JepaError as error:
        # Faults of a recipe are shown with rich, which whoever only reads runs need not load.
        from jepa_core.recipes.faults import RecipeFaultsError

        if isinstance(error, RecipeFaultsError):
            _reword_faults(error)
        else:
            error.args = tuple(in_python(part) if isinstance(part, str) else part for part in error.args)
        raise


def in_python(text: str) -> str:
    """The text with flags as arguments."""
    for shell, python in _WORDS:
        text = shell.sub(python, text)
    return text


def _reword_faults(error: RecipeFaultsError) -> None:
    import attrs

    error.title = "What set says" if error.title == "The command line" else error.title
    error.faults = tuple(
        attrs.evolve(
            fault,
            where=f"set: {fault.where.removeprefix(_SET)}" if fault.where.startswith(_SET) else in_python(fault.where),
            message=in_python(fault.message),
            notes=tuple(map(in_python, fault.notes)),
        )
        for fault in error.faults
    )
    error.args = (error.title, error.faults)
