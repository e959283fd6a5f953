"""The end of a file of lines, without reading what lies before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from jepa_core.plain_files import open_plain
from jepa_core.recorded_numbers import decode_number

CONSOLE_BYTES = 1 << 16
CONSOLE_LINES = 500
DIAGNOSTICS_BYTES = 1 << 20

_NESTING = 4
"""Deepest lists and tables of a diagnosis in which figures are looked for."""


def newest_text(path: Path) -> tuple[str, ...]:
    """The newest lines of a text, the last one as far as it is written; none when it cannot be read."""
    lines = _last_part(path, CONSOLE_BYTES).decode(errors="replace").splitlines()
    return tuple(lines[-CONSOLE_LINES:])


def newest_record(path: Path) -> dict[str, Any]:
    """The newest complete line that is a JSON object, non-finite figures as floats; empty when there is none."""
    complete, _, _ = _last_part(path, DIAGNOSTICS_BYTES).rpartition(b"\n")
    for line in reversed(complete.split(b"\n")):
        record = decode_record(line)
        if record is not None:
            return record
    return {}


def decode_record(line: bytes) -> dict[str, Any] | None:
    """A line of diagnostics.jsonl, non-finite figures as floats; None when it is no JSON object."""
    try:
        record = orjson.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    return {name: _with_floats(value, _NESTING) for name, value in record.items()}


def _last_part(path: Path, num_bytes: int) -> bytes:
    """The last bytes of a file, from the first line that begins among them."""
    try:
        with open_plain(path) as file:
            size = file.seek(0, 2)
            start = file.seek(max(0, size - num_bytes))
            part = file.read(num_bytes)
    except (OSError, ValueError):
        return b""
    return part if start == 0 else part.partition(b"\n")[2]


def _with_floats(value: Any, nesting: int) -> Any:
    if isinstance(value, str):
        figure = decode_number(value)
        return value if figure is None else figure
    if isinstance(value, list) and nesting:
        return [_with_floats(item, nesting - 1) for item in value]
    return value
