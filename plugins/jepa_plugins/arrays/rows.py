"""What a file says of each row beside its observations: tasks, split and labels; and the split where it says none.

A row is a ready sequence, one of several recordings, or a step of a single one.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from jepa_core.dataset_checks import check_label
from jepa_core.errors import DataError
from jepa_core.task_split import TaskSplit
from jepa_plugins.arrays.files import Header
from jepa_plugins.arrays.names import LABEL_PREFIX, ROW_ARRAYS, SPLIT, TASKS

STEP = "step"
"""What a row of a single recording is: it is no task of its own."""


@attrs.frozen(kw_only=True)
class Rows:
    """What is said of each row."""

    tasks: Tensor
    """(rows,) int64: index into `task_names`; each row a task of its own where the file says nothing."""
    task_names: tuple[str, ...]
    validates: Tensor
    """(rows,) bool"""
    labels: Mapping[str, Tensor]
    """Name → (rows,): classes as int64, or numbers as float64."""
    has_tasks: bool
    has_split: bool
    notes: tuple[str, ...] = ()
    """What the user should know of them."""

    @staticmethod
    def of(
        path: str, arrays: Mapping[str, Tensor], num_rows: int, row: str, split: TaskSplit, *, doubt: str = ""
    ) -> Rows:
        """
        Args:
            path: of the file, for errors.
            arrays: `tasks`, `split` and `labels.NAME`, as far as the file has them.
            num_rows: how long each has to be.
            row: what a row is, in a word.
            split: for a file that says tasks at most.
            doubt: what errors of the number of rows end with, where observations may be read wrongly.

        Raises:
            DataError: an array has the wrong length or type, or a task is on both sides.
        """
        for name, array in sorted(arrays.items()):
            _check_one_for_each_row(f"{path}: {name}", array, num_rows, row, doubt)
        numbers = {name: _whole_numbers(f"{path}: {name}", arrays[name]) for name in ROW_ARRAYS if name in arrays}
        labels = {
            name.removeprefix(LABEL_PREFIX): _label(f"{path}: {name}", array)
            for name, array in sorted(arrays.items())
            if name not in ROW_ARRAYS
        }
        has_tasks, has_split = TASKS in numbers, SPLIT in numbers
        given = numbers.get(TASKS, torch.arange(num_rows))
        values, tasks = given.unique(return_inverse=True) if has_tasks else (given, given)
        noun = "task" if has_tasks else row
        if has_split:
            validates = _side(path, numbers[SPLIT], row)
            if has_tasks:
                _check_apart(path, given[validates], given[~validates], row)
        elif noun == STEP:
            validates = torch.zeros(num_rows, dtype=torch.bool)
        else:
            validates = _drawn(path, tasks, noun, split, doubt)
        return Rows(
            tasks=tasks,
            task_names=() if noun == STEP else tuple(f"{noun} {value}" for value in values.tolist()),
            validates=validates,
            labels=labels,
            has_tasks=has_tasks,
            has_split=has_split,
            notes=tuple(
                f"{LABEL_PREFIX}{name} are floats, so they count as numbers; if they are classes, convert them with "
                ".astype(numpy.int64)"
                for name, label in labels.items()
                if label.is_floating_point() and label.equal(label.round())
            ),
        )


def check_types(path: str, headers: Mapping[str, Header]) -> None:
    """Before anything is read: rows are described by numbers.

    Raises:
        DataError: an array holds texts, Python objects or dates, or a label has no name of its own.
    """
    for name, header in sorted(headers.items()):
        if name not in ROW_ARRAYS:
            _check_label_name(path, name)
        if header.dtype.startswith(("bool", "uint", "int", "float", "bfloat", "complex")):
            continue
        what = {"object": "Python objects", "str": "texts", "bytes": "texts"}.get(header.dtype.rstrip("0123456789"))
        as_texts = ".astype(str)" if header.dtype == "object" else ""
        remedy = (
            "Give each row 0 for training or 1 for validation."
            if name == SPLIT
            else f"Save their numbers instead: numpy.unique(names{as_texts}, return_inverse=True)[1]."
        )
        kind = f"{what} (dtype {header.dtype})" if what else f"of type {header.dtype}"
        raise DataError(f"{path}: {name} are {kind}, not whole numbers. {remedy}")


def _check_label_name(path: str, name: str) -> None:
    try:
        check_label(name.removeprefix(LABEL_PREFIX))
    except ValueError as error:
        raise DataError(
            f"{path}: {name}: {error}: save the array as {LABEL_PREFIX}NAME, or tell tasks by the array {TASKS}."
        ) from error


def _check_one_for_each_row(where: str, array: Tensor, num_rows: int, row: str, doubt: str) -> None:
    if tuple(array.shape) != (num_rows,):
        raise DataError(
            f"{where} have the shape {tuple(array.shape)}, and the observations have {num_rows:,} {row}s. Give one "
            f"number for each {row}: shape ({num_rows},).{doubt}"
        )


def _label(where: str, array: Tensor) -> Tensor:
    """Numbers as float64, or classes as int64."""
    if not array.is_floating_point():
        return _whole_numbers(where, array)
    numbers = array.double()
    if not bool(numbers.isfinite().all()):
        place = int((~numbers.isfinite()).nonzero()[0])
        raise DataError(f"{where} hold {float(numbers[place])}, at {place}. Fill it in, or leave that row out.")
    return numbers


def _whole_numbers(where: str, array: Tensor) -> Tensor:
    if array.is_floating_point() or array.is_complex():
        raise DataError(f"{where} are {array.dtype}, not whole numbers. Convert them with .astype(numpy.int64).")
    numbers = array.long()
    if bool((numbers < 0).any()):
        place = int((numbers < 0).nonzero()[0])
        raise DataError(f"{where} hold {int(numbers[place])}, at {place}. Count classes, tasks and sides from 0.")
    return numbers


def _side(path: str, sides: Tensor, row: str) -> Tensor:
    """(rows,) bool: which validate, of what a file says."""
    others = sides[sides > 1]
    if len(others):
        raise DataError(f"{path}: {SPLIT} holds {int(others[0])}. Give each {row} 0 for training or 1 for validation.")
    validates = sides == 1
    if validates.all() or not validates.any():
        only = "validation (1)" if validates.any() else "training (0)"
        raise DataError(f"{path}: {SPLIT} puts every {row} into {only}. Put some on the other side, or leave it out.")
    return validates


def _check_apart(path: str, validation_tasks: Tensor, train_tasks: Tensor, row: str) -> None:
    both = validation_tasks.unique()
    both = both[torch.isin(both, train_tasks)]
    if len(both):
        raise DataError(
            f"{path}: {len(both):,} {'task is' if len(both) == 1 else 'tasks are'} in training and in validation, the "
            f"first is task {int(both[0])}. Put all "
            f"{row}s of a task on one side of {SPLIT}, or leave {SPLIT} out."
        )


def _drawn(path: str, tasks: Tensor, noun: str, split: TaskSplit, doubt: str) -> Tensor:
    """(rows,) bool: which validate, drawn by task."""
    num_tasks = int(tasks.max()) + 1
    if num_tasks < 2:
        remedy = f", leave {TASKS} out" if noun == "task" else ""
        raise DataError(
            f"{path}: all observations are of one {noun}, and at least 2 are needed, 1 to train and 1 to validate. "
            f"Give more{remedy}, or the array {SPLIT}: 0 trains, 1 validates.{doubt}"
        )
    return split.validates(num_tasks)[tasks]
