"""What is wrong with the cells of a table of text, counted over the whole of it, and what mends it.

A command that is advised never writes to a file that is there. Knows nothing of how a table is read.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from jepa_core.errors import DataError
from jepa_core.plain_files import open_plain
from jepa_core.visible_text import clean
from jepa_plugins.arrays.names import TASKS, is_of_rows
from jepa_plugins.data_path import GZIP

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)
NO_VALUE = frozenset({"", "na", "n/a", "nan", "-nan", "null", "none", "?", "-"})
"""What stands for a value that is missing, in small letters."""

_MISSING, _COMMA, _TEXT, _INFINITE = "missing", "comma", "text", "infinite"

_MOST_NAMED = 3
"""Columns that are named of many."""

_MOST_TEXTS = 3
"""Different texts of a column that are kept."""

_STEPS_OF_A_TASK = 2
"""At least, on average, where a text may tell recordings apart: a time or a remark changes with the line."""

_LOOKED_AT_ONCE = 1 << 20


@attrs.frozen
class Form:
    """How a table is written."""

    path: Path
    separator: str | None
    """None for blanks."""
    encoding: str


@attrs.define
class _Found:
    """Faults of one kind in one column."""

    line: int
    cell: str
    """Of the first."""
    count: int = 0
    num_runs: int = 0
    """How often the text is another than in the line before."""
    last: str = ""
    texts: list[str] = attrs.field(factory=list)
    """The first different ones."""

    def add(self, cell: str) -> None:
        self.count += 1
        self.num_runs += cell != self.last
        self.last = cell
        if len(self.texts) < _MOST_TEXTS and cell not in self.texts:
            self.texts.append(cell)


class CellFaults:
    """The cells of a table that hold no number."""

    def __init__(self, form: Form, names: Sequence[str], num_columns: int) -> None:
        self._form, self._names, self._num_columns = form, names, num_columns
        self._found: dict[tuple[str, int], _Found] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, cells: Sequence[str], line: int) -> bool:
        """Whether there is a fault in a line."""
        is_faulty = False
        for index, cell in enumerate(cells):
            kind = _kind(cell)
            if kind:
                is_faulty = True
                if (kind, index) not in self._found:
                    self._found[kind, index] = _Found(line, cell)
                self._found[kind, index].add(cell)
        return is_faulty

    def error(self, num_rows: int, also: str = "") -> DataError:
        """All of them, the first line first.

        Args:
            num_rows: lines of values that were looked at.
            also: a fault of another kind, at which reading ended.
        """
        missing, commas, texts, infinite = (self._of(kind) for kind in (_MISSING, _COMMA, _TEXT, _INFINITE))
        of_rows = {index for index in texts if self._is_of_rows(index)}
        without_number = {index for index in {*missing, *texts} - of_rows if self._lacks_numbers(index, num_rows)}
        empty = {index: missing[index] for index in missing if index in without_number and index not in texts}
        words = {index: texts[index] for index in texts if index in without_number}
        gaps = {index: missing[index] for index in missing if index not in without_number}
        sentences = [
            *self._of_words(words),
            *self._of_empty(empty),
            *self._of_names({index: texts[index] for index in texts if index in of_rows}),
            *self._of_few({index: texts[index] for index in texts if index not in of_rows | words.keys()}, num_rows),
            *self._of_gaps(gaps, num_rows),
            *self._of_commas(commas),
            *self._of_infinite(infinite),
        ]
        sentences.sort(key=lambda each: each[0])
        left_out = words.keys() | empty.keys()
        told = [f"line {line}: {sentence}" for line, sentence in sentences] + [also] * bool(also)
        command = self._command(left_out, has_commas=bool(commas))
        if command and len(told) > 1:
            done = ["leaves out what has no numbers"] * bool(left_out) + ["writes decimal points"] * bool(commas)
            told.append(f"This {' and '.join(done)}: {command}")
        elif command:
            told[0] += f" This does it: {command}"
        return DataError(f"{self._form.path}, " + "\n  ".join(told))

    def _of(self, kind: str) -> dict[int, _Found]:
        return {index: found for (its, index), found in sorted(self._found.items()) if its == kind}

    def _count(self, kind: str, index: int) -> int:
        return self._found[kind, index].count if (kind, index) in self._found else 0

    def _is_of_rows(self, index: int) -> bool:
        return bool(self._names) and is_of_rows(self._names[index])

    def _lacks_numbers(self, index: int, num_rows: int) -> bool:
        """Whether a column has more texts than numbers, or nothing in it at all."""
        num_texts, num_missing = self._count(_TEXT, index), self._count(_MISSING, index)
        num_numbers = num_rows - num_texts - num_missing - self._count(_INFINITE, index)
        return num_texts > num_numbers if num_texts else num_missing == num_rows > 1

    def _of_words(self, columns: Mapping[int, _Found]) -> Iterable[tuple[int, str]]:
        """Columns of text."""
        if not columns:
            return
        held = [
            f"{self._column(index)} holds text ({clean(found.cell, 40)!r})"
            for index, found in list(columns.items())[:_MOST_NAMED]
        ]
        more = len(columns) - len(held)
        held += [f"{more:,} more {'column does' if more == 1 else 'columns do'}"] * bool(more)
        what = "that column" if len(columns) == 1 else "those columns"
        remedy = f"Leave {what} out."
        groups = [index for index, found in columns.items() if found.count >= _STEPS_OF_A_TASK * found.num_runs]
        if groups and TASKS not in self._names:
            texts = columns[groups[0]].texts
            numbered = ", ".join(f"{clean(text, 20)!r} is {number}" for number, text in enumerate(texts[:2]))
            remedy = (
                f"If {self._column(groups[0])} tells recordings apart, call it {TASKS} and write whole numbers from 0 "
                f"({numbered}{' …' if len(texts) > 2 else ''}); else leave {what} out."
            )
        line = min(found.line for found in columns.values())
        yield line, f"{' and '.join(held)}, and only numbers are read. {remedy}"

    def _of_empty(self, columns: Mapping[int, _Found]) -> Iterable[tuple[int, str]]:
        """Columns with nothing in them."""
        if columns:
            plural = "are empty: leave them out." if len(columns) > 1 else "is empty: leave it out."
            yield min(found.line for found in columns.values()), f"{self._listed(columns)} {plural}"

    def _of_names(self, columns: Mapping[int, _Found]) -> Iterable[tuple[int, str]]:
        """Texts where tasks, sides and classes are numbers."""
        if columns:
            held = " and ".join(
                f"{self._column(index)} holds text ({clean(found.cell, 40)!r})" for index, found in columns.items()
            )
            yield (
                min(found.line for found in columns.values()),
                f"{held}, and only numbers are read. Number its names from 0.",
            )

    def _of_few(self, columns: Mapping[int, _Found], num_rows: int) -> Iterable[tuple[int, str]]:
        """Columns of numbers with some texts among them, a sentence each."""
        ordered = sorted(columns.items(), key=lambda each: (each[1].line, each[0]))
        for index, found in ordered[:_MOST_NAMED]:
            remedy = "is text: write a number there." if found.count == 1 else "are text: write numbers there."
            yield (
                found.line,
                f"{self._column(index)} holds text ({clean(found.cell, 40)!r}), and only numbers are read. "
                f"{found.count:,} of its {num_rows:,} values {remedy}",
            )
        others = dict(ordered[_MOST_NAMED:])
        if others:
            line = min(found.line for found in others.values())
            yield line, f"there are texts among the numbers of more columns, too: {self._counted(others)}."

    def _of_gaps(self, columns: Mapping[int, _Found], num_rows: int) -> Iterable[tuple[int, str]]:
        """Missing values."""
        if not columns:
            return
        index, first = min(columns.items(), key=lambda each: (each[1].line, each[0]))
        total = sum(found.count for found in columns.values())
        has = f"has no value{f' ({clean(first.cell, 20)})' if first.cell else ''}"
        counted = "" if total == 1 else (
            f" {total:,} of {num_rows * self._num_columns:,} values are missing: {self._counted(columns)}."
        )  # fmt: skip
        what = "it in (by what is between its neighbours" if total == 1 else "them in (by what is between neighbours"
        where = "there" if total == 1 else "at each"
        yield (
            first.line,
            f"{self._column(index)} {has}.{counted} Fill {what}, with the lines of docs/your-data.md, Missing values), "
            f"or cut the recording {where}.",
        )

    def _of_commas(self, columns: Mapping[int, _Found]) -> Iterable[tuple[int, str]]:
        if not columns:
            return
        index, first = min(columns.items(), key=lambda each: (each[1].line, each[0]))
        total = sum(found.count for found in columns.values())
        counted = f" {total:,} values have one: {self._counted(columns)}." if total > 1 else ""
        yield (
            first.line,
            f"{self._column(index)} holds {first.cell!r}, with a decimal comma: write decimal points.{counted}",
        )

    def _of_infinite(self, columns: Mapping[int, _Found]) -> Iterable[tuple[int, str]]:
        if not columns:
            return
        index, first = min(columns.items(), key=lambda each: (each[1].line, each[0]))
        total = sum(found.count for found in columns.values())
        counted = f" {total:,} values are none: {self._counted(columns)}." if total > 1 else ""
        yield first.line, f"{self._column(index)} holds {first.cell}, which is no finite number.{counted}"

    def _counted(self, columns: Mapping[int, _Found]) -> str:
        most = sorted(columns.items(), key=lambda each: (-each[1].count, each[0]))
        told = [f"{found.count:,} in {self._column(index)}" for index, found in most[:_MOST_NAMED]]
        more = sum(found.count for _, found in most[_MOST_NAMED:])
        return ", ".join(told) + (f", {more:,} in {len(most) - _MOST_NAMED:,} more" if more else "")

    def _listed(self, columns: Iterable[int]) -> str:
        named = [self._column(index) for index in columns]
        more = len(named) - _MOST_NAMED
        return " and ".join(named[:_MOST_NAMED] + [f"{more:,} more"] * (more > 0))

    def _column(self, index: int) -> str:
        name = self._names[index] if self._names else ""
        return f"column {clean(name, 40)!r}" if name else f"column {index + 1}"

    def _command(self, left_out: Iterable[int], *, has_commas: bool) -> str:
        """What to type, for a shell; empty where nothing can be, or no command does it rightly."""
        form = self._form
        kept = [index for index in range(self._num_columns) if index not in set(left_out)]
        cuts = len(kept) < self._num_columns
        # A comma that also parts columns is not to be exchanged.
        if not (cuts or has_commas) or (has_commas and form.separator == ","):
            return ""
        if form.encoding == "utf-16" or not kept or (cuts and form.separator is None):
            return ""
        source, target = shlex.quote(os.fspath(form.path)), shlex.quote(_new_name(form.path))
        is_packed, is_plain = _looked_through(form.path)
        if is_packed:
            return ""
        if not cuts:
            return f"tr , . < {source} > {target}"
        assert form.separator is not None
        pointed = " | tr , ." if has_commas else ""
        if is_plain:
            flag = "" if form.separator == "\t" else f" -d{shlex.quote(form.separator)}"
            return f"cut{flag} -f{','.join(str(index + 1) for index in kept)} {source}{pointed} > {target}"
        parted = json.dumps(form.separator)
        code = (
            f"import csv, sys; rows = csv.reader(open(sys.argv[1], newline=\"\", encoding=\"{form.encoding}\"), "
            f"delimiter={parted}, skipinitialspace=True); csv.writer(sys.stdout, delimiter={parted})"
            f".writerows([row[i] for i in {kept} if i < len(row)] for row in rows)"
        )  # fmt: skip
        return f"python3 -c {shlex.quote(code)} {source}{pointed} > {target}"


def _kind(cell: str) -> str:
    """What is wrong with a cell; empty where it is a number."""
    is_number = NUMBER.fullmatch(cell)
    if is_number and math.isfinite(float(cell)):  # as most cells are
        return ""
    if cell.lower() in NO_VALUE:
        return _MISSING
    if is_number:
        return _INFINITE
    return _COMMA if DECIMAL_COMMA.fullmatch(cell) else _TEXT


def _new_name(path: Path) -> str:
    """A file that is not there: named after a table, in the working folder, where what is advised is typed."""
    stem = re.sub(r"-numbers(-\d+)?$", "", path.stem)
    number = 1
    while True:
        target = f"{stem}-numbers{f'-{number}' if number > 1 else ''}{path.suffix}"
        if not os.path.lexists(target):
            return target
        number += 1


def _looked_through(path: Path) -> tuple[bool, bool]:
    """Whether a table is packed, and whether its columns can be cut at every separator: no quotes, lines that end as
    those of Unix or Windows do."""
    has_quotes = has_lines = False
    with open_plain(path, follow_links=True) as file:
        start = chunk = file.read(_LOOKED_AT_ONCE)
        while chunk:
            has_quotes |= b'"' in chunk
            has_lines |= b"\n" in chunk
            chunk = file.read(_LOOKED_AT_ONCE)
    return start.startswith(GZIP), has_lines and not has_quotes
