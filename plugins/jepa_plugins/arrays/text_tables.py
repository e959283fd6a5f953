"""Tables of numbers as text (.csv, .tsv, .txt, and each packed by gzip): a line is a step of one recording.

Separator (tab, semicolon, comma, blanks), encoding and names in the first lines are told by the content. Columns called
`tasks`, `split` and `labels.NAME` are arrays of these names, all others are the observations. What has no number, no
value or a decimal comma is refused with its line: nothing is filled in.

Lines are read in blocks, so that what takes memory is the numbers alone: eight bytes each, four once they are read.
"""

from __future__ import annotations

import csv
import io
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from jepa_core.errors import DataError
from jepa_core.visible_text import clean
from jepa_plugins.arrays.names import OBSERVATIONS, TASKS, is_of_rows
from jepa_plugins.arrays.rounding import Doubles
from jepa_plugins.arrays.table_columns import Columns
from jepa_plugins.arrays.table_copies import without_first_line
from jepa_plugins.arrays.table_faults import CellFaults
from jepa_plugins.arrays.table_form import Form, form_of
from jepa_plugins.arrays.table_lines import BlankLines, Lines, count_alike, count_up
from jepa_plugins.arrays.table_numbers import LARGEST, NO_VALUE, is_number
from jepa_plugins.data_path import damage_in, opened, reason

SUFFIXES = (".csv", ".tsv", ".txt")

_BLOCK = 1 << 14
"""Lines that are made numbers at once."""

_MOST_LINES_OF_NAMES = 10

_SHOWN = 4
"""Cells of a line that are said."""

_MINUS = "\u2212"
"""As typeset numbers have it."""

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
        raise DataError(damage_in(path) or f"{path}: it cannot be read ({reason(error)}). Save it anew.") from error
    except DataError as error:
        # What is unpacked from a damaged file is no table, and what is wrong with it misleads.
        damage = damage_in(path)
        if damage:
            raise DataError(damage) from error
        raise


def num_observed(path: Path) -> tuple[int, ...]:
    """How many columns of a table are observed, by its first line of numbers alone: two numbers where it hangs on all
    lines whether the first column only counts them; none where the beginning is at fault.
    """
    with suppress(DataError, OSError, EOFError, zlib.error):
        form = form_of(path)
        with opened(path) as packed, io.TextIOWrapper(packed, encoding=form.encoding, errors="replace") as file:
            return _Reading(form, Lines(path, file)).num_observed()
    return ()


def looks_like_numbers(path: Path) -> bool:
    """Whether a file of any name begins as a table of numbers does."""
    return bool(num_observed(path))


@lru_cache(maxsize=1)
def _read(path: Path, _signature: tuple[int, ...]) -> TextTable:
    form = form_of(path)
    with opened(path) as packed, io.TextIOWrapper(packed, encoding=form.encoding, errors="replace") as file:
        return _Reading(form, Lines(path, file)).table()


class _Reading:
    """One pass over a table."""

    def __init__(self, form: Form, lines: Lines) -> None:
        self._form, self._lines = form, lines
        self._path, self._separator = form.path, form.separator
        self._names: list[str] = []
        self._num_columns = self._num_rows = self._line = 0
        self._ends_open = False
        """Whether lines end with a separator, behind which nothing comes."""
        self._faults = CellFaults(form, (), 0)
        self._blank = BlankLines(form.path)
        self._separators = BlankLines(form.path)
        """Lines of separators alone: steps without a value."""
        self._first_line: tuple[int, tuple[str, ...]] = 0, ()
        """The number of the first line of numbers, and its cells where no names stand above it."""

    def num_observed(self) -> tuple[int, ...]:
        """As of the function."""
        self._first(iter(self._lines))
        count = self._num_columns - sum(map(is_of_rows, self._names))
        return (count, count - 1) if self._may_count else (count,)

    @property
    def _may_count(self) -> bool:
        """Whether the first column is called as one that counts the lines."""
        return self._num_columns > 1 and bool(self._names) and self._names[0] in _OF_INDEX

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
        if self._separators.num:
            self._faults.add_blank(self._separators.first, self._separators.num)
            self._num_rows += self._separators.num
        if self._faults:
            raise self._faults.error(self._num_rows)
        whole = np.concatenate(observed)
        notes = self._notes(whole)
        if self._may_count and len(kept) > 1 and columns.counts_rows(0):
            whole, kept = np.ascontiguousarray(whole[:, 1:]), kept[1:]
            called = f"called {self._names[0]!r}, which" if self._names[0] else "which has no name and"
            notes = (*notes, f"not read: the first column, {called} counts the rows")
        arrays = {OBSERVATIONS: whole}
        for name, column in zip((self._names[index] for index in of_rows), np.concatenate(told).T, strict=True):
            arrays[name] = _as_whole_numbers(column) if column.size else column
        return TextTable(arrays, (*notes, *columns.notes(kept)))

    def _notes(self, observed: np.ndarray[Any, Any]) -> tuple[str, ...]:
        """What the user should know of the lines, of which (rows, columns) are observed.

        Raises:
            DataError: the first one is rather names.
        """
        notes = []
        line, cells = self._first_line
        if count_up(cells) and not count_alike(observed):
            are_decimals = bool((observed[1:] != np.floor(observed[1:])).any())
            said = (
                f"line {line} holds {', '.join(cells[:_SHOWN])}{', …' if len(cells) > _SHOWN else ''}, which count up"
            )
            # Of two numbers in a row, as of a sine and a cosine at 0, that may be so by chance.
            if are_decimals and len(cells) > 2:
                command = without_first_line(self._form) if line == 1 else ""
                raise DataError(
                    f"{self._path}: {said}, and the lines below do not. If they are names, leave that line out, or "
                    "begin each with a letter; if they are values, write a line of names above it."
                    + (f" This leaves it out: {command}" if command else "")
                )
            if are_decimals or len(cells) > 2:
                notes.append(f"{said}, and is read as values; if they are names, begin each with a letter")
        if self._blank.num:
            are = "1 line" if self._blank.num == 1 else f"{self._blank.num:,} lines"
            notes.append(
                f"left out: {are} with nothing in {'it' if self._blank.num == 1 else 'them'}, from line "
                f"{self._blank.first} on; where that is a step without values or the end of a recording, mend the table"
            )
        return tuple(notes)

    def _first(self, texts: Iterator[str]) -> Doubles:
        """The first line of numbers; names that stand before it are kept.

        Raises:
            DataError: there is none, or it has more or fewer values than there are names.
        """
        before: list[tuple[int, list[str]]] = []
        ends = 0
        for line in map(self._without_mark, self._cells(texts)):
            starts, ends = ends + 1, self._lines.number
            if starts == 1 and self._form.says_separator:
                continue
            if not any(line):
                self._blank.add(starts)
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
            self._blank = BlankLines(self._path)  # those above the values say nothing
            self._first_line = starts, () if before else tuple(cells)
            return np.array([self._row(cells, starts)])
        if not before:
            raise DataError(f"{self._path}: there is nothing in it. Give a table of numbers, a line for each step.")
        at, shown = before[-1][0], _shown(before[-1][1])
        raise DataError(
            f"{self._path}: there is no line of numbers in it, a value for each column; line {at} holds {shown}. Give "
            "a table of numbers, a line for each step."
        )

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
            yield from (text.replace(_MINUS, "-").split() for text in texts)
            return
        try:
            for cells in csv.reader(texts, delimiter=self._separator, skipinitialspace=True):
                yield [cell.strip().replace(_MINUS, "-") for cell in cells]
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
        starts = self._lines.number - len(block) + 1
        if numbers.shape[1] == self._num_columns and (np.abs(numbers) <= LARGEST).all():
            self._num_rows += len(numbers)
            self._look_for_blanks(block, starts, num_rows=len(numbers))
            return numbers
        rows = []
        for cells in self._cells(self._counted_off(block, starts)):
            if any(cells):
                self._blank.values_follow()
                self._separators.values_follow()
                rows.append(self._row(cells, starts))
            else:
                (self._separators if len(cells) > 1 else self._blank).add(starts)
            starts = self._line + 1  # a text in quotes may go over several lines
        return np.array(rows).reshape(-1, self._num_columns)

    def _look_for_blanks(self, block: Sequence[str], start: int, *, num_rows: int) -> None:
        """In lines that are numbers, as far as they are not blank."""
        if num_rows == len(block):
            self._blank.values_follow()
            self._separators.values_follow()
            return
        for number, text in enumerate(block, start):
            if text.strip():
                self._blank.values_follow()
                self._separators.values_follow()
            else:
                self._blank.add(number)

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
        problem = ""
        if len(cells) != self._num_columns:
            problem = (
                f"line {number}: it has {_counted(len(cells), 'value')} ({_shown(cells)}), and the lines before have "
                f"{self._num_columns}. Give it one for each column, or leave it out."
            )
            if any("\n" in cell for cell in cells):
                problem += " A quote in it is not closed where its value ends."
        elif self._names and list(cells) == self._names:
            problem = (
                f"line {number}: the names stand here again, as where tables were put below each other. Leave the line "
                f"out; several recordings are told apart by a column {TASKS} of whole numbers from 0."
            )
        if problem:
            raise (
                self._faults.error(self._num_rows, problem) if self._faults else DataError(f"{self._path}, {problem}")
            )
        self._num_rows += 1
        return [np.nan] * len(cells) if self._faults.add(cells, number) else [float(cell) for cell in cells]


def _are_names(cells: Sequence[str], *, may_be_numbers: bool) -> bool:
    """Whether a line says what columns are, as names or units: no number stands in it, nor nothing at all. The first
    line may have the numbers of columns, as pandas writes them, beside a name or an empty one for the index."""
    numbers = [cell for cell in cells if is_number(cell)]
    if not numbers:
        return not all(cell.lower() in NO_VALUE for cell in cells)
    are_counted = any(numbers == [str(start + index) for index in range(len(numbers))] for start in (0, 1))
    return may_be_numbers and are_counted and 2 <= len(numbers) < len(cells)


def _as_whole_numbers(column: Doubles) -> np.ndarray[Any, Any]:
    """int64 where every number is whole and counted from 0, as classes are."""
    is_whole = bool(((column >= 0) & (column < 2**53) & (column == np.floor(column))).all())
    return column.astype(np.int64) if is_whole else np.ascontiguousarray(column)


def _shown(cells: Sequence[str]) -> str:
    """The first cells of a line, as they stand."""
    return ", ".join(repr(clean(cell, 40)) for cell in cells[:_SHOWN]) + (", …" if len(cells) > _SHOWN else "")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
