"""Tables of numbers as text (.csv, .tsv, .txt): not read, but looked at, so that the lines of NumPy which make an array
of one are right for it: its separator, decimal commas, quotes, encoding, and lines of names."""

from __future__ import annotations

import codecs
import re
import zlib
from pathlib import Path

from jepa_plugins.data_path import BYTE_ORDER_MARK, opened

_LOOKED_AT = 1 << 16
"""Bytes of its beginning."""

_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)


def is_text_table(path: Path) -> bool:
    """By the end of its name."""
    return path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv", ".txt"))


def lines_that_convert(path: Path) -> str:
    """Two lines that write the table beside itself, as .npz."""
    head, encoding = _head(path)
    rows = [line for line in head.splitlines() if line.strip()]
    separator = next((each for each in "\t;," if any(each in row for row in rows)), None)
    cells = [[cell.strip().strip('"') for cell in row.split(separator)] for row in rows]
    num_names = next((number for number, row in enumerate(cells) if all(map(_NUMBER.fullmatch, filter(None, row)))), 1)
    options = [f"delimiter={_quoted(separator)}", f"skiprows={num_names if rows else 0}", "ndmin=2"]
    if '"' in head:
        options.append("quotechar='\"'")
    if encoding != "utf-8":
        options.append(f'encoding="{encoding}"')
    if separator != "," and any("," in cell for row in cells[num_names:] for cell in row):
        options.append('converters=lambda text: float(text.replace(",", "."))')
    target = path.with_name(re.sub(r"(?i)\.(csv|tsv|txt)(\.gz)?$", "", path.name) + ".npz")
    return (
        f"  table = numpy.loadtxt({_quoted(str(path))}, {', '.join(options)})\n"
        f"  numpy.savez({_quoted(str(target))}, observations=table.astype(numpy.float32))"
    )


def _head(path: Path) -> tuple[str, str]:
    """Whole lines of its beginning, and how they are encoded; none where it cannot be read."""
    try:
        with opened(path) as file:
            content = file.read(_LOOKED_AT + 1)
    except (OSError, EOFError, zlib.error):
        return "", "utf-8"
    if len(content) > _LOOKED_AT:
        content = content[: content.rfind(b"\n") + 1] or content
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace"), "utf-16"
    try:
        return content.decode("utf-8-sig"), "utf-8-sig" if content.startswith(BYTE_ORDER_MARK) else "utf-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "latin-1"


def _quoted(text: str | None) -> str:
    """As Python has it, in the quotation marks of the rest where they will do."""
    written = repr(text)
    return f'"{written[1:-1]}"' if text is not None and written[0] == "'" and '"' not in text else written
