"""What the files of a checkpoint hold, read without torch: whole by their sums, they may still be anybody's.

Plain values lie in `state.json`, tensors in `tensors.safetensors`, each under the name of its place in the values.
Whether a state fits a run is for `jepa_core.engine.run_state` to say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_core.plain_files import open_plain, read_plain
from jepa_core.visible_text import clean

TENSORS, VALUES = "tensors.safetensors", "state.json"
TENSOR = "__tensor__"
"""The only key of an object that stands for a tensor, whose name is its value."""
PROGRESS = "progress"
"""The entry of a run's state that says how far it is."""

_MOST_VALUES = 64 << 20
"""Bytes of the plain values."""
_DEEPEST = 64
"""Objects and lists within one another."""
_LARGEST = 2**63 - 1
"""Whole numbers, up to which any part of a run can take them."""


@attrs.frozen(kw_only=True)
class StoredProgress:
    """How far a run was when it wrote a checkpoint."""

    step: int
    epoch: float
    best_step: int | None
    """Step of its best validation so far."""


class ContentsError(ValueError):
    """What a file holds is not what a checkpoint does; the message goes on after its name."""


def strict_json(content: bytes, *, constants: bool = False) -> Any:
    """What JSON says.

    Args:
        content: UTF-8.
        constants: NaN and the infinities are numbers.

    Raises:
        ContentsError: it is no JSON, has a name twice in an object, is nested deeply, or has too large numbers.
    """
    try:
        read = json.loads(
            content.decode(),
            object_pairs_hook=_object,
            parse_constant=float if constants else _refused_constant,
        )
    except ContentsError:
        raise
    except RecursionError:
        raise ContentsError("is damaged: it is nested too deeply") from None
    except ValueError:
        raise ContentsError("is damaged: it is no JSON") from None
    _check_plain(read)
    return read


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        twice = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
        raise ContentsError(f"is damaged: it has {_shown(twice)} twice")
    return read


def _refused_constant(name: str) -> float:
    raise ContentsError(f"is damaged: it has {name} where a number is due")


def _check_plain(read: Any) -> None:
    level = [read]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if any(isinstance(each, int) and abs(each) > _LARGEST for each in level):
            raise ContentsError("is damaged: it has a whole number of more than 63 bits")
        if not level:
            return
    raise ContentsError("is damaged: it is nested too deeply")


def stored_values(folder: Path) -> dict[str, Any]:
    """The plain values of a checkpoint, by entry.

    Raises:
        ContentsError: they are none.
        OSError: they cannot be read.
    """
    try:
        content = read_plain(folder / VALUES, _MOST_VALUES)
    except ValueError as error:
        raise ContentsError(f"is damaged: {error}") from None
    values = strict_json(content, constants=True)
    if not isinstance(values, dict):
        raise ContentsError("is no state of a run: it is no JSON object")
    return values


def stored_progress(folder: Path) -> StoredProgress | None:
    """How far the run was; None where the state does not say.

    Raises:
        ContentsError: it says so in no way that can be understood.
        OSError: it cannot be read.
    """
    return _progress_in(stored_values(folder))


def _progress_in(values: Mapping[str, Any]) -> StoredProgress | None:
    progress = values.get(PROGRESS)
    if progress is None:
        return None
    step = progress.get("step") if isinstance(progress, dict) else None
    if type(step) is not int or step < 0:
        raise ContentsError(f"notes no step that a run could be at: {_shown(step)}")
    epoch = progress.get("epoch", 0.0)
    if type(epoch) not in (int, float) or not math.isfinite(epoch) or epoch < 0:
        raise ContentsError(f"notes no epoch that a run could be at: {_shown(epoch)}")
    best = progress.get("best", {})
    best_step = best.get("step") if isinstance(best, dict) else best
    if best_step is not None and (type(best_step) is not int or not 0 <= best_step <= step):
        raise ContentsError(f"notes no step of a best validation: {_shown(best_step)}")
    return StoredProgress(step=step, epoch=float(epoch), best_step=best_step)


def contents_fault(folder: Path, step: int) -> str | None:
    """Why the files of a checkpoint are no state of that step; None when they may be.

    Raises:
        OSError: one cannot be read.
    """
    try:
        values = stored_values(folder)
        progress = _progress_in(values)
        if progress is not None and progress.step != step:
            return f"{VALUES} is of step {progress.step}, and the folder of step {step}"
        named = set(_tensor_names(values, ()))
    except ContentsError as error:
        return f"{VALUES} {error}"
    try:
        there = _tensors_in(folder / TENSORS)
    except ContentsError as error:
        return f"{TENSORS} {error}"
    if missing := sorted(named - there):
        return f"{TENSORS} lacks {_shown(missing[0])}, which {VALUES} names"
    if unnamed := sorted(there - named):
        return f"{TENSORS} has {_shown(unnamed[0])}, which {VALUES} does not name"
    return None


def _tensor_names(values: Any, place: tuple[str, ...]) -> Iterator[str]:
    """Names of the tensors, each of which is its place.

    Raises:
        ContentsError: one is named from elsewhere, so that two would be one, or by no text.
    """
    if isinstance(values, dict):
        if values.keys() == {TENSOR}:
            name = "/".join(place)
            if values[TENSOR] != name:
                raise ContentsError(f"takes {_shown(values[TENSOR])} for the tensor {_shown(name)}")
            yield name
            return
        for key, value in values.items():
            yield from _tensor_names(value, (*place, key))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from _tensor_names(value, (*place, str(index)))


def _tensors_in(path: Path) -> set[str]:
    from safetensors import SafetensorError, safe_open

    open_plain(path).close()
    try:
        with safe_open(path, framework="numpy") as file:
            return set(file.keys())
    except SafetensorError as error:
        raise ContentsError(f"is damaged: {clean(str(error), 120)}") from None


def _shown(value: Any) -> str:
    return clean(repr(value), 60)
