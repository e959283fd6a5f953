"""The command that writes a mended copy of a table of text: without some columns, with its numbers as they are read.

It never writes to a file that is there, and is not said where it would not do it rightly.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import attrs

from jepa_core.plain_files import open_plain
from jepa_plugins.arrays.table_form import Form
from jepa_plugins.data_path import GZIP

_LOOKED_AT_ONCE = 1 << 20

_DECIMAL_POINT = re.compile(rb"\.(?!\d{3}(?!\d))")
"""A point that parts no thousands."""


@attrs.frozen(kw_only=True)
class Change:
    """What is to be other in the copy."""

    left_out: frozenset[int] = frozenset()
    """Columns."""
    removed: str = ""
    """Characters that part thousands."""
    has_commas: bool = False
    """Decimal commas become points."""


def command(form: Form, num_columns: int, change: Change) -> str:
    """What to type, for a shell; empty where nothing is to be changed, or no command does it rightly."""
    kept = [index for index in range(num_columns) if index not in change.left_out]
    cuts, removed, has_commas = len(kept) < num_columns, change.removed, change.has_commas
    if (
        not (cuts or removed or has_commas)
        or form.encoding.startswith("utf-16")
        or not kept
        or (cuts and form.separator is None)
    ):
        return ""
    look = _Look.at(form.path)
    if look.is_packed or ("." in removed and look.has_decimal_points):
        return ""
    source, target = shlex.quote(os.fspath(form.path)), shlex.quote(new_name(form.path))
    touched = removed + "," * has_commas
    # A comma that also parts columns is not to be exchanged, and `tr` knows single bytes alone.
    if look.has_quotes or not look.has_lines or not removed.isascii() or (form.separator or " ") in touched:
        if form.separator is None:
            return "" if touched != "," else f"tr , . < {source} > {target}"
        if cuts or touched != "," or form.separator == ",":
            return f"python3 -c {shlex.quote(_code(form, change))} {source} > {target}"
    filters = [f"tr -d {shlex.quote(removed)}"] * bool(removed) + ["tr , ."] * has_commas
    if cuts:
        flag = "" if form.separator == "\t" else f" -d{shlex.quote(form.separator or '')}"
        first = f"cut{flag} -f{_ranges(kept)} {source}"
    else:
        first = f"{filters.pop(0)} < {source}"
    return " | ".join([first, *filters]) + f" > {target}"


def _ranges(kept: Sequence[int]) -> str:
    """Columns as `cut` takes them, such as "1,3-5"."""
    starts = [index for index in kept if index - 1 not in kept]
    ends = [index for index in kept if index + 1 not in kept]
    pairs = zip(starts, ends, strict=True)
    return ",".join(
        f"{start + 1}-{end + 1}" if end > start + 1 else ",".join(map(str, range(start + 1, end + 2)))
        for start, end in pairs
    )


def _code(form: Form, change: Change) -> str:
    """In Python, which knows quotes."""
    replaced = "".join(f'.replace({json.dumps(each)}, "")' for each in change.removed)
    replaced += '.replace(",", ".")' * change.has_commas
    cells = f"[cell{replaced} for cell in row]"
    if change.left_out:
        cells = f"[cell{replaced} for i, cell in enumerate(row) if i not in {sorted(change.left_out)}]"
    delimiter = json.dumps(form.separator)
    return (
        f'import csv, sys; rows = csv.reader(open(sys.argv[1], newline="", encoding="{form.encoding}"), '
        f"delimiter={delimiter}, skipinitialspace=True); csv.writer(sys.stdout, delimiter={delimiter})"
        f".writerows({cells} for row in rows)"
    )


def without_first_line(form: Form) -> str:
    """What to type for a copy without the first line of a table; empty where no command does it rightly."""
    look = _Look.at(form.path)
    if form.encoding.startswith("utf-16") or look.is_packed or not look.has_lines:
        return ""
    return f"tail -n +2 {shlex.quote(os.fspath(form.path))} > {shlex.quote(new_name(form.path))}"


def new_name(path: Path) -> str:
    """A file that is not there: named after a table, in the working folder, where what is advised is typed."""
    stem = re.sub(r"-numbers(-\d+)?$", "", path.stem)
    number = 1
    while True:
        target = f"{stem}-numbers{f'-{number}' if number > 1 else ''}{path.suffix}"
        if not os.path.lexists(target):
            return target
        number += 1


@attrs.frozen(kw_only=True)
class _Look:
    """What a whole file shows that decides which command does it rightly."""

    is_packed: bool
    has_quotes: bool
    has_lines: bool
    """They end as those of Unix or Windows do."""
    has_decimal_points: bool

    @staticmethod
    def at(path: Path) -> _Look:
        has_quotes = has_lines = has_points = False
        start = rest = b""
        with open_plain(path, follow_links=True) as file:
            while chunk := file.read(_LOOKED_AT_ONCE):
                start = start or chunk
                has_quotes |= b'"' in chunk
                has_lines |= b"\n" in chunk
                # The digits behind a point may go on in the next chunk.
                text, rest = rest + chunk, (rest + chunk)[-5:]
                has_points |= any(found.start() < len(text) - 4 for found in _DECIMAL_POINT.finditer(text))
        has_points |= _DECIMAL_POINT.search(rest) is not None
        return _Look(
            is_packed=start.startswith(GZIP), has_quotes=has_quotes, has_lines=has_lines, has_decimal_points=has_points
        )
