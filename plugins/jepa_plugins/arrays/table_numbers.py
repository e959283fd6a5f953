"""How numbers are written in tables of text: as they are read, with a decimal comma, or with their thousands parted."""

from __future__ import annotations

import re

import attrs
import numpy as np

LARGEST = float(np.finfo(np.float32).max)
"""What is observed becomes float32."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)
THOUSAND_OR_COMMA = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
"""A thousand, or a number near one with a decimal comma: 1,000."""

NO_VALUE = frozenset({"", "na", "n/a", "nan", "-nan", "null", "none", "?", "-"})
"""What stands for a value that is missing, in small letters."""

_BLANKS_AND_APOSTROPHES = " \u00a0\u2009\u202f'\u2019"

_PARTED = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"[+-]?\d{1,3}(?P<group>,)\d{2,3}(,\d{2,3})*,\d{3}(?P<decimal>\.\d*)?",
        r"[+-]?\d{1,3}(?P<group>,)\d{3}(?P<decimal>\.\d+)",
        r"[+-]?\d{1,3}(?P<group>\.)\d{3}(\.\d{3})+(?P<decimal>,\d*)?",
        r"[+-]?\d{1,3}(?P<group>\.)\d{3}(?P<decimal>,\d+)",
        rf"[+-]?\d{{1,3}}(?P<group>[{_BLANKS_AND_APOSTROPHES}])\d{{3}}((?P=group)\d{{3}})*(?P<decimal>[.,]\d*)?",
    )
)


@attrs.frozen
class Parted:
    """How the thousands of a number are parted."""

    group: str
    """What stands between them."""
    decimal: str
    """What stands before its decimals; empty where it has none."""

    def plain(self, cell: str) -> str:
        """The number as it is read."""
        return cell.replace(self.group, "").replace(",", ".")


def parted(cell: str) -> Parted | None:
    """How the thousands of a cell are parted, where they surely are: 1,234,567, 1.000,5, 1 000 or 1'000."""
    for pattern in _PARTED:
        found = pattern.fullmatch(cell)
        if found:
            return Parted(found["group"], (found["decimal"] or "")[:1])
    return None


_WITH_UNIT = re.compile(r"[€$£¥<>~≈]?\s?[+-]?(\d+([.,]\d*)?|\.\d+)\s?([%‰°€$£¥]|°?[^\W\d_]{1,5})?")


def has_unit(cell: str) -> bool:
    """Whether a unit, a currency or a sign of comparison stands beside a number."""
    return bool(_WITH_UNIT.fullmatch(cell))


def are_several(cell: str) -> bool:
    """Whether numbers stand in it, parted by another separator than the table's."""
    return any(each in cell and all(NUMBER.fullmatch(part.strip()) for part in cell.split(each)) for each in "\t;,| ")


def is_number(cell: str) -> bool:
    """Whether a cell is one in any of these ways."""
    return bool(NUMBER.fullmatch(cell) or DECIMAL_COMMA.fullmatch(cell) or parted(cell))
