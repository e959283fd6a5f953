"""What is wrong with the cells of a table of text, counted over the whole of it, and what mends it.

Knows nothing of how a table is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import attrs

from jepa_core.errors import DataError
from jepa_core.visible_text import clean
from jepa_plugins.arrays.names import TASKS, is_of_rows
from jepa_plugins.arrays.table_copies import Change, command
from jepa_plugins.arrays.table_form import Form
from jepa_plugins.arrays.table_numbers import (
    DECIMAL_COMMA,
    LARGEST,
    NO_VALUE,
    NUMBER,
    THOUSAND_OR_COMMA,
    are_several,
    has_unit,
    parted,
)

_MISSING, _COMMA, _PARTED, _TEXT, _INFINITE, _LARGE = "missing", "comma", "parted", "text", "infinite", "large"

_BOOLEANS = frozenset({"true", "false", "t", "f", "yes", "no"})

_MOST_NAMED = 3
"""Columns that are named of many."""

_MOST_TEXTS = 20
"""Different texts of a column that are kept."""

_OFTEN = 3
"""Lines of each text, on average, where fewer texts come again and again."""

_STEPS_OF_A_TASK = 2
"""At least, on average, where a text may tell recordings apart: a time or a remark changes with the line."""


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

    @property
    def comes_again(self) -> bool:
        """Whether few texts come again and again, and hardly stay from line to line: they say what a line is of."""
        is_few = len(self.texts) < _MOST_TEXTS and self.count >= _OFTEN * len(self.texts)
        return is_few and len(self.texts) > 1 and self.count < _STEPS_OF_A_TASK * self.num_runs

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
        self._parting: set[str] = set()
        """What surely parts thousands somewhere."""
        self._has_decimal_commas = False
        """Some commas surely stand before decimals."""

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, cells: Sequence[str], line: int) -> bool:
        """Whether there is a fault in a line."""
        is_faulty = False
        for index, cell in enumerate(cells):
            kind = _kind(cell)
            if kind == _LARGE and self._is_of_rows(index):  # these are not float32
                continue
            if kind in (_COMMA, _PARTED):
                self._look_at_commas(cell)
            if kind:
                is_faulty = True
                if (kind, index) not in self._found:
                    self._found[kind, index] = _Found(line, cell)
                self._found[kind, index].add(cell)
        return is_faulty

    def add_blank(self, line: int, count: int) -> None:
        """Lines of nothing but separators, the first of them given."""
        for _ in range(count):
            self.add([""] * self._num_columns, line)

    def _look_at_commas(self, cell: str) -> None:
        found = parted(cell)
        if found:
            self._parting.add(found.group)
        has_comma = found.decimal == "," if found else not THOUSAND_OR_COMMA.fullmatch(cell)
        self._has_decimal_commas |= has_comma

    def error(self, num_rows: int, also: str = "") -> DataError:
        """All of them, the first line first.

        Args:
            num_rows: lines of values that were looked at.
            also: a fault of another kind, at which reading ended.
        """
        kinds = (_MISSING, _COMMA, _PARTED, _TEXT, _INFINITE, _LARGE)
        missing, commas, with_thousands, texts, infinite, large = (self._of(kind) for kind in kinds)
        of_rows = {index for index in texts if self._is_of_rows(index)}
        without_number = {index for index in {*missing, *texts} - of_rows if self._lacks_numbers(index, num_rows)}
        empty = {index: missing[index] for index in missing if index in without_number and index not in texts}
        words = {index: texts[index] for index in texts if index in without_number}
        readable = {index: words.pop(index) for index in list(words) if _written_otherwise(words[index])}
        gaps = {index: missing[index] for index in missing if index not in without_number}
        sentences = [
            *self._of_words(words),
            *self._of_readable(readable),
            *self._of_empty(empty),
            *self._of_names({index: texts[index] for index in texts if index in of_rows}),
            *self._of_few({i: texts[i] for i in texts if i not in of_rows | words.keys() | readable.keys()}, num_rows),
            *self._of_gaps(gaps, num_rows),
            *self._of_commas(commas),
            *self._of_thousands(with_thousands),
            *self._of_infinite(infinite),
            *self._of_large(large),
        ]
        sentences.sort(key=lambda each: each[0])
        left_out = words.keys() | empty.keys()
        told = [f"line {line}: {sentence}" for line, sentence in sentences] + [also] * bool(also)
        return DataError(f"{self._form.path}, " + "\n  ".join(_with_command(told, self._remedy(left_out))))

    def _remedy(self, left_out: Iterable[int]) -> str:
        """The command that mends it, with what it does; two where it hangs on what is meant; empty where none does."""
        cut = frozenset(left_out)
        does = ["leaves out what has no numbers"] * bool(cut)
        has_commas, removed = bool(self._of(_COMMA)) or self._has_decimal_commas, "".join(sorted(self._parting))
        if "," in removed and self._has_decimal_commas:
            return ""
        if self._is_undecided and has_commas:
            either, other = (
                command(
                    self._form, self._num_columns, Change(left_out=cut, removed=removed + char, has_commas=not char)
                )
                for char in ("", ",")
            )
            return f"For a decimal comma: {either}\n  For thousands: {other}" if either and other else ""
        does += ["joins thousands"] * bool(removed)
        has_commas = has_commas and "," not in removed
        does += ["writes decimal points"] * has_commas
        typed = command(self._form, self._num_columns, Change(left_out=cut, removed=removed, has_commas=has_commas))
        return f"This {' and '.join(does)}: {typed}" if typed else ""

    @property
    def _is_undecided(self) -> bool:
        """Whether nothing says what commas stand for."""
        return not self._has_decimal_commas and "," not in self._parting

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

    def _of_readable(self, columns: Mapping[int, _Found]) -> Iterable[tuple[int, str]]:
        """Columns of numbers that are written otherwise, a sentence each."""
        for index, found in columns.items():
            how = _written_otherwise(found)
            yield found.line, f"{self._column(index)} holds {clean(found.cell, 40)!r}, {how}."

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
            remedy = "is text: write a number there, or leave the line out."
            if found.count > 1:
                remedy = "are text: write numbers there."
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
        index, first = _first(columns)
        total = _total(columns)
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
        index, first = _first(columns)
        counted = self._if_several(columns, "have a comma")
        if "," in self._parting:
            what = ", with its thousands parted by a comma: write them without"
            if self._has_decimal_commas:
                what = (
                    ", and commas part thousands in this table and stand before decimals, too: write points for these"
                )
        elif self._is_undecided:
            thousand, point = first.cell.replace(",", ""), first.cell.replace(",", ".")
            what = f", {thousand} or, with a decimal comma, {point}: write which it is"
        else:
            what = ", with a decimal comma: write decimal points"
        yield first.line, f"{self._column(index)} holds {first.cell!r}{what}.{counted}"

    def _of_thousands(self, columns: Mapping[int, _Found]) -> Iterable[tuple[int, str]]:
        if not columns:
            return
        index, first = _first(columns)
        counted = self._if_several(columns, "are so")
        how = parted(first.cell)
        assert how is not None
        told = f"{self._column(index)} holds {first.cell!r}, with its thousands parted: write {how.plain(first.cell)}."
        yield first.line, told + counted

    def _of_infinite(self, columns: Mapping[int, _Found]) -> Iterable[tuple[int, str]]:
        if not columns:
            return
        index, first = _first(columns)
        counted = self._if_several(columns, "are none")
        yield first.line, f"{self._column(index)} holds {first.cell}, which is no finite number.{counted}"

    def _of_large(self, columns: Mapping[int, _Found]) -> Iterable[tuple[int, str]]:
        if not columns:
            return
        index, first = _first(columns)
        counted = self._if_several(columns, "are larger")
        yield (
            first.line,
            f"{self._column(index)} holds {first.cell}, and the largest number that float32 holds is {LARGEST:.2g}. "
            f"Correct it, or divide the column.{counted}",
        )

    def _if_several(self, columns: Mapping[int, _Found], are: str) -> str:
        """How many values are so, and where, as a sentence behind another; empty of a single one."""
        total = _total(columns)
        return f" {total:,} values {are}: {self._counted(columns)}." if total > 1 else ""

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


def _first(columns: Mapping[int, _Found]) -> tuple[int, _Found]:
    """The column whose first value is the table's first, and what was found in it."""
    return min(columns.items(), key=lambda each: (each[1].line, each[0]))


def _total(columns: Mapping[int, _Found]) -> int:
    return sum(found.count for found in columns.values())


def _written_otherwise(found: _Found) -> str:
    """What to write for the texts of a column that is not to be left out as it is; empty where it may be."""
    texts = found.texts
    if all(text.lower() in _BOOLEANS for text in texts):
        return "and only numbers are read: write 1 and 0"
    if all(map(are_several, texts)):
        return "several numbers: part columns by one separator throughout"
    if all(map(has_unit, texts)):
        return "a number with something beside it: write the number alone"
    if found.comes_again:
        return (
            "and only numbers are read. If it says what the line's values are of, give each of these a column "
            "(pandas.DataFrame.pivot); else leave that column out"
        )
    return ""


def _with_command(told: list[str], remedy: str) -> list[str]:
    """What is wrong, with what mends it: behind a single sentence where it is about nothing else."""
    if not remedy:
        return told
    if len(told) > 1 or "\n" in remedy:
        return [*told, remedy]
    return [f"{told[0]} This does it: {remedy.partition(': ')[2]}"]


def _kind(cell: str) -> str:
    """What is wrong with a cell; empty where it is a number."""
    is_number = NUMBER.fullmatch(cell)
    if is_number and abs(float(cell)) <= LARGEST:  # as most cells are
        return ""
    if cell.lower() in NO_VALUE:
        return _MISSING
    if is_number:
        return _LARGE if math.isfinite(float(cell)) else _INFINITE
    if parted(cell):
        return _PARTED
    return _COMMA if DECIMAL_COMMA.fullmatch(cell) else _TEXT
