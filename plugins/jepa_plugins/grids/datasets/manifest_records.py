"""Reading manifests: one JSON record per line, plain or gzipped, and what is wrong with the lines that are not.

Knows records, not sequences: how many grids a sequence needs is `manifest`'s business.
"""

from __future__ import annotations

import gc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import orjson

from jepa_core.errors import DataError
from jepa_plugins.data_path import BYTE_ORDER_MARK, damage_in, opened, reason, require_there
from jepa_plugins.grids.datasets.packing import Grid, read_grid


@attrs.frozen
class Record:
    """One line of a manifest."""

    frames: tuple[Grid, ...]
    """At least two; the last is the target."""
    task: str
    rule: str | None
    """Names of the primitives in `rule_trace`, joined by "+"."""
    is_pair: bool
    """Whether it is an input with its output, rather than frames of one course."""


def read_records(path: Path, limit: int | None) -> list[Record]:
    """The first `limit` records of a file, all when it is None.

    Raises DataError for a file that cannot be read or is empty, and for malformed lines: how many, and the first.
    """
    require_there(path, "file")
    records: list[Record] = []
    faults: list[str] = []
    try:
        with _uncollected():
            for number, line in islice(_lines(path), limit):
                try:
                    records.append(_record(line, number))
                except ValueError as error:
                    faults.append(f"{path}:{number}: {error}")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            damage_in(path) or f"{path} cannot be read: {reason(error)}. data.path must be a JSONL file, plain or .gz."
        ) from error
    if faults:
        raise DataError(
            f"{faults[0]}\n{len(faults):,} of {len(faults) + len(records):,} records are malformed; this is the first. "
            'A record is {"input": GRID, "output": GRID} or {"frames": [GRID, …, TARGET]}, a grid a list of rows.'
        )
    if not records:
        raise DataError(f"{path} holds no records. data.path must be a JSONL file with one record per line.")
    return records


@contextmanager
def _uncollected() -> Iterator[None]:
    """Within it nothing is searched for cycles: of records there are none, and all stay, to be searched again and
    again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank; what is compressed is known by how it begins, whatever its name."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            content = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            if content and not content.isspace():
                yield number, content


def _record(line: bytes, number: int) -> Record:
    content = orjson.loads(line)
    if not isinstance(content, dict):
        raise ValueError("is not a JSON object")
    # A name that no id has: one that is a number may be that of another line.
    task = content.get("task", content.get("id", f"line {number}"))
    if not isinstance(task, str | int) or isinstance(task, bool):
        raise ValueError(f"task or id must be a text or a whole number (got {task!r})")
    return Record(_frames(content), str(task), _rule(content.get("rule_trace")), "frames" not in content)


def _frames(content: dict[str, Any]) -> tuple[Grid, ...]:
    if "frames" not in content:
        return _named_grid(content.get("input"), "input"), _named_grid(content.get("output"), "output")
    frames = content["frames"]
    if not isinstance(frames, list) or len(frames) < 2:
        raise ValueError("frames must be a list of at least 2 grids, the target last")
    return tuple(_named_grid(frame, f"frames[{index}]") for index, frame in enumerate(frames))


def _named_grid(value: object, name: str) -> Grid:
    try:
        return read_grid(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error


def _rule(trace: object) -> str | None:
    if trace is None:
        return None
    try:
        return "+".join(step["primitive"] for step in trace)  # type: ignore[attr-defined]  # judged by trying
    except (TypeError, KeyError) as error:
        raise ValueError('rule_trace must be a list of objects with a "primitive"') from error
