"""Tables of numbers as text (.csv, .tsv, .txt, and each packed by gzip): a line is a step of one recording.

Separator (tab, semicolon, comma, blanks), encoding and names in the first lines are told by the content. Columns called
`tasks`, `split` and `labels.NAME` are arrays of these names, all others are the observations. What has no number, no
value or a decimal comma is refused with its line: nothing is filled in.

Lines are read in blocks, so that what takes memory is the numbers alone: eight bytes each, four once they are read.
"""

from __future__ import annotations

import codecs
import csv
import io
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Any

import attrs
import numpy as np

from jepa_core.errors import DataError
from jepa_plugins.arrays.names import OBSERVATIONS, is_of_rows
from jepa_plugins.arrays.table_columns import Columns, Doubles
from jepa_plugins.arrays.table_faults import DECIMAL_COMMA, NO_VALUE, NUMBER, CellFaults, Form
from jepa_plugins.data_path import BYTE_ORDER_MARK, opened, reason

SUFFIXES = (".csv", ".tsv", ".txt")

_LOOKED_AT = 1 << 16
"""Bytes of its beginning, by which separator and encoding are told."""

_BLOCK = 1 << 14
"""Lines that are made numbers at once."""

_LONGEST_LINE = 1 << 24
_MOST_LINES_OF_NAMES = 10

_OF_INDEX = ("", "Unnamed: 0")
"""Names of the column that pandas puts before a table, and that counts its rows."""


@attrs.frozen
class TextTable:
    """What a table holds."""

    arrays: Mapping[str, np.ndarray[Any, Any]]
    """By name: observations (rows, columns) float32, and what is said of each row, as int64 or float64."""
    notes: tuple[str, ...]


def is_text_table(path: Path) -> bool:
    """By the end of its name."""
    return path.name.lower().removesuffix(".gz").endswith(SUFFIXES)


def read_text_table(path: Path) -> TextTable:
    """The whole table; the one that was read last is kept, as long as the file does not change.

    Raises:
        DataError: it cannot be read, or something in it is no number; with the line.
    """
    try:
        now = path.stat()
        return _read(path, (now.st_ino, now.st_size, now.st_mtime_ns))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: it cannot be read ({type(error).__name__}: {reason(error)}). Save it anew."
        ) from error


@lru_cache(maxsize=1)
def _read(path: Path, _signature: tuple[int, ...]) -> TextTable:
    form = _form(path)
    with opened(path) as packed, io.TextIOWrapper(packed, encoding=form.encoding, errors="replace") as file:
        return _Reading(form, _Lines(path, file)).table()


def _form(path: Path) -> Form:
    """How a table is written, by its beginning.

    Raises:
        DataError: it is no text.
    """
    with opened(path) as file:
        content = file.read(_LOOKED_AT + 1)
    if len(content) > _LOOKED_AT:
        content = content[: content.rfind(b"\n") + 1] or content
    encoding = "utf-8-sig" if content.startswith(BYTE_ORDER_MARK) else "utf-8"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in content:
        raise DataError(f"{path}: this is no table of text: it has bytes that no text has. Name it by what it is.")
    else:
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            encoding = "latin-1"
    return Form(path, _separator(content.decode(encoding, errors="replace").splitlines()), encoding)


def _separator(lines: Sequence[str]) -> str | None:
    """The first that all lines have as many of, else the first that any has, since a table may be damaged."""
    lines = [line for line in lines if line.strip()]
    used = [each for each in "\t;," if any(each in line for line in lines)]
    with suppress(csv.Error):  # a field that is too long; whoever reads the line says so
        for each in used:
            widths = {len(row) for row in csv.reader(lines, delimiter=each)}
            if len(widths) == 1 and widths != {1}:
                return each
    return next(iter(used), None)


class _Lines:
    """Lines of a file; `number` is that of the newest."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path, self._file = path, file
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        while text := self._file.readline(_LONGEST_LINE + 1):
            self.number += 1
            if len(text) > _LONGEST_LINE:
                raise DataError(
                    f"{self._path}, line {self.number}: it has more than {_LONGEST_LINE:,} characters, as no table has."
                )
            yield text


class _Reading:
    """One pass over a table."""

    def __init__(self, form: Form, lines: _Lines) -> None:
        self._form, self._lines = form, lines
        self._path, self._separator = form.path, form.separator
        self._names: list[str] = []
        self._num_columns = self._num_rows = self._line = 0
        self._ends_open = False
        """Whether lines end with a separator, behind which nothing comes."""
        self._faults = CellFaults(form, (), 0)

    def table(self) -> TextTable:
        """
        Raises:
            DataError: lines are at fault.
        """
        texts = iter(self._lines)
        blocks = [self._first(texts)]
        of_rows = [index for index, name in enumerate(self._names) if is_of_rows(name)]
        if len({self._names[index] for index in of_rows}) < len(of_rows):
            raise DataError(
                f"{self._path}: two columns have one name, of {', '.join(self._names[i] for i in of_rows)}."
            )
        may_count = self._num_columns > 1 and bool(self._names) and self._names[0] in _OF_INDEX
        kept = [index for index in range(self._num_columns) if index not in of_rows]
        if not kept:
            raise DataError(
                f"{self._path}: every column is one of {', '.join(self._names)}: there are no observations."
            )
        observed, told, columns = [], [], Columns(self._names, self._num_columns)
        while blocks or (block := list(islice(texts, _BLOCK))):
            numbers = blocks.pop() if blocks else self._numbers(block)
            columns.add(numbers)
            with np.errstate(over="ignore"):  # what float32 does not hold is refused as all such numbers are
                observed.append(numbers[:, kept].astype(np.float32))
            told.append(numbers[:, of_rows])
        if self._faults:
            raise self._faults.error(self._num_rows)
        whole = np.concatenate(observed)
        notes: tuple[str, ...] = ()
        if may_count and len(kept) > 1 and columns.counts_rows(0):
            whole, kept = np.ascontiguousarray(whole[:, 1:]), kept[1:]
            called = f"called {self._names[0]!r}, which" if self._names[0] else "which has no name and"
            notes = (f"not read: the first column, {called} counts the rows",)
        arrays = {OBSERVATIONS: whole}
        for name, column in zip((self._names[index] for index in of_rows), np.concatenate(told).T, strict=True):
            arrays[name] = _as_whole_numbers(column) if column.size else column
        return TextTable(arrays, (*notes, *columns.notes(kept)))

    def _first(self, texts: Iterator[str]) -> Doubles:
        """The first line of numbers; names that stand before it are kept.

        Raises:
            DataError: there is none, or it has more or fewer values than there are names.
        """
        before: list[tuple[int, list[str]]] = []
        ends = 0
        for line in map(self._without_mark, self._cells(texts)):
            starts, ends = ends + 1, self._lines.number
            if not any(line):
                continue
            if _are_names(line, may_be_numbers=not before):
                before.append((starts, line))
                if len(before) > _MOST_LINES_OF_NAMES:
                    break
                continue
            cells = self._closed(line, before)
            self._num_columns = len(cells)
            if before:
                at, names = next((each for each in before if len(each[1]) == len(cells)), before[0])
                if len(names) != len(cells):
                    raise DataError(
                        f"{self._path}: line {at} has {_counted(len(names), 'name')}, and line {starts} "
                        f"{_counted(len(cells), 'value')}. Give each column one name, and each line a value of each."
                    )
                self._names = names
            self._faults = CellFaults(self._form, self._names, self._num_columns)
            return np.array([self._row(cells, starts)])
        raise DataError(f"{self._path}: there is no line of numbers in it, a value for each column.")

    def _closed(self, cells: list[str], before: list[tuple[int, list[str]]]) -> list[str]:
        """The first line of numbers without the empty cell at its end, where no line of names, which are changed
        likewise, has a name for it."""
        widths = {len(names) for _, names in before if names[-1]}
        self._ends_open = len(cells) > 1 and not cells[-1] and len(cells) not in widths
        cells = cells[:-1] if self._ends_open else cells
        before[:] = [
            (line, names if names[-1] or len(names) != len(cells) + 1 else names[:-1]) for line, names in before
        ]
        return cells

    def _without_mark(self, cells: list[str]) -> list[str]:
        """Without the mark of a comment, which NumPy puts before names."""
        if not cells or not cells[0].startswith("#"):
            return cells
        first = cells[0].removeprefix("#").strip()
        return cells[1:] if self._separator is None and not first else [first, *cells[1:]]

    def _cells(self, texts: Iterator[str]) -> Iterator[list[str]]:
        if self._separator is None:
            yield from (text.split() for text in texts)
            return
        try:
            for cells in csv.reader(texts, delimiter=self._separator, skipinitialspace=True):
                yield [cell.strip() for cell in cells]
        except csv.Error as error:
            raise DataError(
                f"{self._path}, line {self._line or self._lines.number}: this is no line of a table ({error})."
            ) from error

    def _numbers(self, block: Sequence[str]) -> Doubles:
        """Lines as rows of numbers, by NumPy's own reader; where that finds fault, one after the other.

        Raises:
            DataError: a line has more or fewer values than there are columns.
        """
        texts = [self._without_end(text) for text in block] if self._ends_open else block
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*input contained no data", UserWarning)
                numbers = np.loadtxt(texts, delimiter=self._separator, quotechar='"', comments=None, ndmin=2)
        except ValueError:
            numbers = np.empty((0, 0))
        if numbers.shape[1] == self._num_columns and np.isfinite(numbers).all():
            self._num_rows += len(numbers)
            return numbers
        rows, starts = [], self._lines.number - len(block) + 1
        for cells in self._cells(self._counted_off(block, starts)):
            if any(cells):
                rows.append(self._row(cells, starts))
            starts = self._line + 1  # a text in quotes may go over several lines
        return np.array(rows).reshape(-1, self._num_columns)

    def _counted_off(self, block: Sequence[str], start: int) -> Iterator[str]:
        """Lines that have been read; `_line` is the number of the newest that was taken."""
        for number, text in enumerate(block, start):
            self._line = number
            yield text

    def _without_end(self, text: str) -> str:
        assert self._separator is not None  # between blanks there is no empty cell
        return text.rstrip("\r\n ").removesuffix(self._separator)

    def _row(self, cells: Sequence[str], number: int) -> list[float]:
        """Its numbers; NaN for all of them where a cell is at fault, which is kept in mind.

        Raises:
            DataError: there are more or fewer than columns.
        """
        if self._ends_open and len(cells) == self._num_columns + 1 and not cells[-1]:
            cells = cells[:-1]
        if len(cells) != self._num_columns:
            problem = (
                f"line {number}: it has {_counted(len(cells), 'value')}, and the lines before have {self._num_columns}."
            )
            raise (
                self._faults.error(self._num_rows, problem) if self._faults else DataError(f"{self._path}, {problem}")
            )
        self._num_rows += 1
        return [np.nan] * len(cells) if self._faults.add(cells, number) else [float(cell) for cell in cells]


def _are_names(cells: Sequence[str], *, may_be_numbers: bool) -> bool:
    """Whether a line says what columns are, as names or units: no number stands in it, nor nothing at all. The first
    line may have the numbers of columns, as pandas writes them, beside a name or an empty one for the index."""
    numbers = [cell for cell in cells if NUMBER.fullmatch(cell) or DECIMAL_COMMA.fullmatch(cell)]
    if not numbers:
        return not all(cell.lower() in NO_VALUE for cell in cells)
    are_counted = any(numbers == [str(start + index) for index in range(len(numbers))] for start in (0, 1))
    return may_be_numbers and are_counted and 2 <= len(numbers) < len(cells)


def _as_whole_numbers(column: Doubles) -> np.ndarray[Any, Any]:
    """int64 where every number is whole and counted from 0, as classes are."""
    is_whole = bool(((column >= 0) & (column < 2**53) & (column == np.floor(column))).all())
    return column.astype(np.int64) if is_whole else np.ascontiguousarray(column)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
