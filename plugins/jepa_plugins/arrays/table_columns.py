"""What the user should know of a table's columns: which are observed, and which of them rather say when than what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from jepa_core.visible_text import clean
from jepa_plugins.arrays.names import LABEL_PREFIX, SPLIT, TASKS
from jepa_plugins.arrays.rounding import Doubles, rounding_notes

_FEWEST_STEPS = 7
"""Fewer numbers rise by chance."""

_MEANT = {
    **dict.fromkeys(("task", "tasks", "task_id", "recording", "recording_id"), ("recording of a line", TASKS)),
    "split": ("side of a line, 0 or 1", SPLIT),
    **dict.fromkeys(("label", "labels", "class"), ("class of a line", f"{LABEL_PREFIX}NAME")),
}
"""Names in small letters → what they may stand for, and what such a column is called."""

_MOST_NAMES = 8
"""Columns that are named of many."""


class Columns:
    """How the numbers of each column go on, from one block of lines to the next."""

    def __init__(self, names: Sequence[str], num_columns: int) -> None:
        self._names = names
        self._tasks = names.index(TASKS) if TASKS in names else None
        self._least, self._most = np.full(num_columns, np.inf), np.full(num_columns, -np.inf)
        self._first: Doubles | None = None
        self._last: Doubles | None = None
        self._num_steps = 0
        self._counts_rows, self._stays = np.ones((2, num_columns), bool)
        self._counts, self._rises = np.ones((2, num_columns), bool)
        """Within each task."""

    def add(self, numbers: Doubles) -> None:
        """(rows, columns), those that come next."""
        if not len(numbers):
            return
        if self._last is None:
            self._first = self._last = numbers[0]
            steps = np.diff(numbers, axis=0)
        else:
            steps = np.diff(numbers, axis=0, prepend=self._last[None])
        self._last = numbers[-1]
        self._least, self._most = np.fmin(self._least, numbers.min(axis=0)), np.fmax(self._most, numbers.max(axis=0))
        self._counts_rows &= (steps == 1).all(axis=0)
        self._stays &= (steps == 0).all(axis=0)
        if self._tasks is not None:
            steps = steps[steps[:, self._tasks] == 0]
        self._num_steps += len(steps)
        self._counts &= (steps == 1).all(axis=0)
        self._rises &= (steps > 0).all(axis=0)

    def counts_rows(self, index: int) -> bool:
        """Whether a column goes up by one from 0 or 1."""
        return self._first is not None and self._first[index] in (0, 1) and bool(self._counts_rows[index])

    def notes(self, observed: Sequence[int]) -> tuple[str, ...]:
        """A line each: of the names, if there are any, and of columns that are remarkable."""
        names = self._names
        said = [f"observed columns: {_listed([_named(names, index) for index in observed])}"] * bool(names)
        if self._num_steps >= _FEWEST_STEPS:
            counting = [index for index in observed if self._counts[index]]
            rising = [index for index in observed if self._rises[index] and not self._counts[index]]
            said += _remark(names, counting, "only counts the lines", "only count the lines")
            said += _remark(names, rising, "rises with every line, as times do", "rise with every line, as times do")
            constant = [index for index in observed if self._stays[index]]
            said += _remark(names, constant, "never changes", "never change")
        said += rounding_notes(self._least, self._most, observed, lambda index: _named(names, index))
        said += _misnamed([names[index] for index in observed if names])
        given = Counter(names[index] for index in observed if names and names[index])
        repeated = dict.fromkeys(repr(clean(name, 40)) for name, count in given.items() if count > 1)
        if repeated:
            said.append(f"several columns have one name, and all of them are observed: {_listed(list(repeated))}")
        return tuple(said)


def _misnamed(names: Sequence[str]) -> list[str]:
    """That names of observed columns are near those of tasks, sides and labels, whose columns are not observed."""
    meant = {name: _MEANT[name.lower()] for name in names if name.lower() in _MEANT}
    return [
        f"{clean(name, 40)!r} is observed as every other column; if it says the {what}, call it {right}"
        for name, (what, right) in meant.items()
    ]


def _remark(names: Sequence[str], columns: Sequence[int], one: str, many: str) -> list[str]:
    if not columns:
        return []
    does, is_observed = (one, "is observed") if len(columns) == 1 else (many, "are observed")
    listed = _listed([_named(names, index) for index in columns])
    return [f"{listed}: {does}, and {is_observed} nevertheless; leave out what the model is not to predict"]


def _named(names: Sequence[str], index: int) -> str:
    return repr(clean(names[index], 40)) if names and names[index] else f"column {index + 1}"


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _MOST_NAMES
    return ", ".join(texts[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
