"""How a table of text is written: its encoding, and what parts its columns, told by how it begins."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import attrs

from jepa_core.errors import DataError
from jepa_plugins.data_path import BYTE_ORDER_MARK, opened

_LOOKED_AT = 1 << 16
"""Bytes of its beginning."""

_SEPARATORS = "\t;,|"

_SAID = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""A first line by which Excel takes the separator."""


@attrs.frozen
class Form:
    """How a table is written."""

    path: Path
    separator: str | None
    """None for blanks."""
    encoding: str
    says_separator: bool = False
    """Whether its first line says nothing else."""


def form_of(path: Path) -> Form:
    """
    Raises:
        DataError: it is no text.
    """
    with opened(path) as file:
        content = file.read(_LOOKED_AT + 1)
    if len(content) > _LOOKED_AT:
        content = content[: content.rfind(b"\n") + 1] or content
    encoding = _encoding(content)
    if not encoding:
        raise DataError(f"{path}: this is no table of text: it has bytes that no text has. Name it by what it is.")
    lines = content.decode(encoding, errors="replace").splitlines()
    said = _SAID.fullmatch(lines[0]) if lines else None
    if said:
        return Form(path, said[1], encoding, says_separator=True)
    return Form(path, _separator(lines), encoding)


def _encoding(content: bytes) -> str:
    """Empty where it is no text."""
    if content.startswith(BYTE_ORDER_MARK):
        return "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in content:
        # Of numbers every other byte is 0 in UTF-16, also where the mark before it is missing.
        halves = {"utf-16-le": content[1::2], "utf-16-be": content[::2]}
        return next((name for name, half in halves.items() if half.count(0) > 0.9 * len(half)), "")
    try:
        content.decode()
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _separator(lines: Sequence[str]) -> str | None:
    """The first that all lines have as many of, else the first that any has, since a table may be damaged."""
    lines = [line for line in lines if line.strip()]
    used = [each for each in _SEPARATORS if any(each in line for line in lines)]
    with suppress(csv.Error):  # a field that is too long; whoever reads the line says so
        for each in used:
            widths = {len(row) for row in csv.reader(lines, delimiter=each)}
            if len(widths) == 1 and widths != {1}:
                return each
    return next(iter(used), None)
