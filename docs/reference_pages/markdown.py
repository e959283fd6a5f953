"""Markdown of tables and code, whatever characters a cell holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def text(plain: str) -> str:
    """Plain text as a cell or a sentence: nothing in it is taken for Markdown or HTML."""
    escaped = " ".join(plain.split()).replace("&", "&amp;").replace("<", "&lt;")
    return _escaped_outside_code(escaped)


def code(plain: str) -> str:
    """Plain text as code in a cell; empty text stays empty."""
    shown = " ".join(plain.split())
    if not shown or not set(shown) & {"|", "`"}:
        return f"`{shown}`" if shown else ""
    for character in "&<*_[]|`":
        shown = shown.replace(character, f"&#{ord(character)};" if character != "&" else "&amp;")
    return f"<code>{shown}</code>"


def block(content: str, language: str = "text") -> str:
    """A block of code."""
    fence = "````" if "```" in content else "```"
    return f"{fence}{language}\n{content.rstrip()}\n{fence}\n"


def _escaped_outside_code(line: str) -> str:
    """Between backticks only a bar has a meaning, that of a table; outside `*` and `_` have, too."""
    parts = line.split("`")
    if len(parts) % 2 == 0:
        parts = [line.replace("`", "&#96;")]
    for index, part in enumerate(parts):
        escaped = part.replace("|", "\\|") if index % 2 else _escaped(part)
        parts[index] = escaped.replace("&lt;", "<").replace("&amp;", "&") if index % 2 else escaped
    return "`".join(parts)


def _escaped(part: str) -> str:
    for character in "*_[]|":
        part = part.replace(character, f"\\{character}")
    return part
