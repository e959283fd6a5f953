"""Anything that rich can print, in ASCII alone."""

from __future__ import annotations

import attrs
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment

from jepa_core.presentation.terminal import plain_text


@attrs.frozen
class InAscii:
    """A renderable whose every character outside ASCII is replaced by one within it, so that columns stay."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.content, options):
            yield Segment(plain_text(segment.text), segment.style, segment.control)
