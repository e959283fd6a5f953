"""The console that commands print to: no markup, no guessing at numbers, and wide enough when it is no terminal."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import attrs
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment

from jepa_core.visible_text import visible_lines

PLAIN_WIDTH = 160
"""Columns where the output is a file or a pipe, and the environment's COLUMNS does not say how many."""

UNBOUNDED = 10_000
"""The same for tables that programs read: no line ends for want of room."""

_PLAINER = {"✔": "+", "✘": "x", "◌": "o", "▲": "!", "●": "*", "○": "o", "−": "-", "–": "-", "·": "-", "…": "~",
            "≥": ">", "≤": "<", "≠": "!", "τ": "t", "▸": ">", "◔": "~", "×": "x", "±": "~", "²": "2", "µ": "u",
            "Δ": "d", "→": ">", "↑": "^", "↓": "v", "↩": "<", "∞": "%", "─": "-", "━": "=", "│": "|",
            "┄": "-"}  # fmt: skip
_COMPARISONS = {"≥": ">=", "≤": "<=", "≠": "!="}
"""Those that take the place of the blank after them, too: a limit of "≥ 0.9" is no "> 0.9"."""

_ERRORS = "jepa_core.plainer"


def console_for(stream: TextIO | None = None, *, plain_width: int = PLAIN_WIDTH) -> Console:
    """A console on `stream`, or on the standard output. Signs that its encoding lacks print as ASCII ones.

    Where it is no terminal its lines have no blanks at their ends, and as many columns as COLUMNS says, else
    `plain_width`.
    """
    out = sys.stdout if stream is None else stream
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors=_ERRORS)
    width = None if out.isatty() else _plain_width(plain_width)
    console = Console(file=out, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False)
    console.push_render_hook(_Cleaning())
    if not out.isatty():
        console.push_render_hook(_Trimming())
    return console


def _plain_width(otherwise: int) -> int:
    return _asked_columns() or otherwise


def _asked_columns() -> int:
    """Columns that the environment says; 0 where it does not."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() else 0


def is_bounded(console: Console) -> bool:
    """Whether prose has to be broken to be read there: a terminal, or what COLUMNS says is as wide as one. Elsewhere,
    as in a pipe or a log, a line is what a program reads."""
    return console.is_terminal or _asked_columns() > 0


class _Cleaning(RenderHook):
    """The last door for foreign text: what nobody made fit to print before is so now. It may be wider than was planned
    for, so what stands in tables is cleaned before."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Cleaned(renderable) for renderable in renderables]


@attrs.frozen
class _Cleaned:
    """A renderable in which no character acts; what rich itself tells the terminal passes."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.content, options):
            yield segment if segment.control else Segment(visible_lines(segment.text), segment.style)


class _Trimming(RenderHook):
    """Takes the blanks away with which tables fill their lines."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Trimmed(renderable) for renderable in renderables]


@attrs.frozen
class _Trimmed:
    """A renderable without blanks at the ends of its lines."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line, is_ended in Segment.split_lines_terminator(console.render(self.content, options)):
            while is_ended and line and not line[-1].control:
                last = line.pop()
                if shown := last.text.rstrip(" "):
                    line.append(Segment(shown, last.style))
                    break
            yield from line
            if is_ended:
                yield Segment.line()


@contextmanager
def progress_on(console: Console, doing: str, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with what is done of all, and the time left; where the console is no terminal nothing is shown.

    Yields what is called with the number done and of all.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed:,.0f}} of {{task.total:,.0f}} {what}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=0)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def plain_text(text: str) -> str:
    """`text` in ASCII alone, as many characters as it has."""
    return text.encode("ascii", _ERRORS).decode("ascii")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """As many ASCII characters as cannot be encoded, so that columns stay where they are."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = "".join(_PLAINER.get(character, "?") for character in lacking)
    if lacking[-1] in _COMPARISONS and error.object[error.end : error.end + 1] == " ":
        return plain[:-1] + _COMPARISONS[lacking[-1]], error.end + 1
    return plain, error.end


codecs.register_error(_ERRORS, _plainer)


@attrs.frozen
class InAscii:
    """A renderable whose every character outside ASCII is replaced by one within it, so that columns stay."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.content, options):
            yield Segment(plain_text(segment.text), segment.style, segment.control)
