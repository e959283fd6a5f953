"""What a console prints, as text."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType


def printed(renderable: RenderableType, *, width: int = 160) -> list[str]:
    """Lines without colour, as the commands' own console prints them."""
    out = io.StringIO()
    Console(file=out, width=width, markup=False, emoji=False, highlight=False).print(renderable, crop=False)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def words_of(renderable: RenderableType, *, width: int = 160) -> list[str]:
    """The same with runs of blanks as one, and without empty lines."""
    return [joined for line in printed(renderable, width=width) if (joined := " ".join(line.split()))]
