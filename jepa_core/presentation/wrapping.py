"""Lines as wide as the screen: prose whose further lines are indented, and parts that no line ends within.

Knows nothing of what the lines say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

import attrs
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.text import Text

_UNBROKEN = 10_000
"""Columns, of a screen on which no line is broken."""


@attrs.frozen
class Hanging:
    """Text whose further lines begin `indent` columns from the left."""

    text: Text
    indent: int
    overflow: Literal["fold", "ignore"] = "fold"
    """What becomes of a word that is longer than a line: broken, or left whole, as a path has to be to be copied."""

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        if self.text.no_wrap or self.text.cell_len <= options.max_width:
            yield self.text
            return
        before = Text()
        starts = _line_starts(self.text.plain, options.max_width, self.indent, breaks_words=self.overflow == "fold")
        for line in self.text.divide(starts):
            line.rstrip()
            shown = before.append_text(line)
            shown.overflow = self.overflow
            yield shown
            before = Text(" " * self.indent)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        words = Measurement.get(console, options, self.text)
        return Measurement(words.minimum + self.indent, words.maximum).normalize()


def _line_starts(text: str, width: int, indent: int, *, breaks_words: bool) -> Iterator[int]:
    """Where lines of whole words begin, but for the first; what stands within the indent is no word. A word that is
    longer than a line goes on at the indent, too, where there is room at all."""
    line_start, before = 0, 0
    for word in re.finditer(r"\S+", text):
        used = before + cell_len(text[line_start : word.end()])
        if word.start() > max(line_start, indent) and used > width:
            yield word.start()
            line_start, before = word.start(), indent
        while breaks_words and width > indent and before + cell_len(text[line_start : word.end()]) > width:
            kept = set_cell_size(text[line_start : word.end()], width - before).rstrip(" ")
            start = line_start + max(1, len(kept))
            if start >= word.end():
                break
            yield start
            line_start, before = start, indent


def part_lines(parts: Sequence[Text], width: int, *, label: Text, indent: int, separator: str) -> Iterator[Text]:
    """The parts after `label`, in lines of at most `width` columns where no single part is longer.

    Args:
        parts: what no line ends within. A line with one that has `no_wrap`, such as a command, has it, too.
        width: columns.
        label: how the first line begins.
        indent: columns from the left at which further lines begin.
        separator: between two parts; where a line ends there, without its blanks.
    """
    line, before, ending = label.copy(), "", separator.rstrip()
    for index, part in enumerate(parts):
        needed = cell_len(before) + part.cell_len + (cell_len(ending) if index < len(parts) - 1 else 0)
        if line.cell_len > indent and line.cell_len + needed > width:
            line.append(before.rstrip())
            yield line
            line, before = Text(" " * indent), ""
        line.append(before).append_text(part)
        if part.no_wrap:
            line.no_wrap, line.overflow = True, part.overflow
        before = separator
    yield line


@attrs.frozen
class Parts:
    """Parts in as many lines as they need, as `part_lines` lays them; a part longer than a line is broken at words."""

    parts: Sequence[Text]
    separator: str
    indent: int = 0
    label: Text = attrs.field(factory=Text)
    overflow: Literal["fold", "ignore"] = "fold"
    """As in `Hanging`."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        label, width = self.label, options.max_width
        if label.cell_len > width:
            *whole, label = label.wrap(console, width)
            yield from whole
        for line in part_lines(self.parts, width, label=label, indent=self.indent, separator=self.separator):
            yield Hanging(line, self.indent, self.overflow)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self.label + Text(self.separator).join(self.parts))


@attrs.frozen
class FirstFitting:
    """The first of several ways to show something that breaks no line; the last where all do."""

    ways: Sequence[RenderableType]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        whole = options.update(width=_UNBROKEN)
        fitting = (way for way in self.ways if Measurement.get(console, whole, way).maximum <= options.max_width)
        yield next(fitting, self.ways[-1])


@attrs.frozen
class Command:
    """A command to copy, which stays in one piece, and why beside it, or below it where there is no room beside."""

    label: str
    command: str
    why: str

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        line = Text(self.label, no_wrap=True, overflow="ignore").append(self.command, style="bold cyan")
        beside = Text(f"        {self.why}" if self.why else "", style="dim")
        if line.cell_len + beside.cell_len <= options.max_width:
            yield line.append_text(beside)
            return
        yield line
        indent = cell_len(self.label)
        if self.why:
            yield Hanging(Text(" " * indent + self.why, style="dim"), indent)
