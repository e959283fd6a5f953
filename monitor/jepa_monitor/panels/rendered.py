"""What `jepa_core.presentation` renders for a terminal, as lines of a panel: one table, wherever it is shown."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style

from jepa_monitor.charts.spec import Tone
from jepa_monitor.panels.line import Line, Span, foreign

_TONES: dict[str, Tone] = {"green": "good", "red": "bad", "yellow": "warning", "cyan": "accent"}


def rendered(renderable: RenderableType, width: int) -> tuple[Line, ...]:
    """The rows of a renderable, its colours as tones, and its text cleaned once more."""
    console = Console(
        file=io.StringIO(), width=max(width, 1), markup=False, emoji=False, highlight=False, legacy_windows=False
    )
    options = console.options.update(height=None)
    rows = console.render_lines(renderable, options, pad=False)
    return tuple(Line(tuple(_spans(row))) for row in rows)


def _spans(row: list[Segment]) -> Iterator[Span]:
    for segment in row:
        if segment.text and not segment.control:
            style = segment.style or Style.null()
            yield Span(foreign(segment.text, len(segment.text)), _tone(style), bool(style.bold))


def _tone(style: Style) -> Tone:
    colour = _TONES.get(style.color.name) if style.color else None
    return colour or ("dim" if style.dim else "plain")
