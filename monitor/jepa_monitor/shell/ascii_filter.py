"""The last word on every character of the screen, for terminals without Unicode."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from jepa_monitor.panels.line import plainer


class AsciiFilter(LineFilter):
    """Leaves no character above 0x7E, whoever drew it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002  # Textual's contract
        """The same columns in ASCII."""
        return [Segment(plainer(text), style, control) for text, style, control in segments]
