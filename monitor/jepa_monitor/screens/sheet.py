"""A screen that lies over the dashboard: one frame of lines that scrolls, left with escape or the key that quits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content, FramedLines
from jepa_monitor.panels.line import Line, Span, line

_SHARE = 94
"""Percent of the terminal that a sheet takes at most."""
LEAST_ROWS = 10
"""Of a sheet, so that it does not jump while little is known."""


class Sheet(ModalScreen[None]):
    """Shows what `content` makes; `show` brings a newer view while it is open."""

    SHEET_TITLE: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave"),
        Binding("q", "leave", "leave", id="quit"),
    ]
    DEFAULT_CSS = f"""
    Sheet {{ align: center middle; }}
    Sheet > FramedLines {{
        width: {_SHARE}%; max-width: 130; height: 12; max-height: {_SHARE}%; background: $surface;
    }}
    """

    def __init__(self, view: RunView, look: Look) -> None:
        super().__init__()
        self.view = view
        self.look = look
        self._body = SheetBody(self)

    def compose(self) -> ComposeResult:
        yield self._body

    def on_mount(self) -> None:
        self._body.focus()

    @property
    def most_rows(self) -> int:
        """That the sheet has room for, once it is as high as the terminal lets it be."""
        return max(self.size.height * _SHARE // 100 - 2, 1)

    def content(self, width: int, height: int) -> Content:
        """What to show in `width` × `height` columns and rows."""
        raise NotImplementedError  # by each sheet

    def show(self, view: RunView, look: Look) -> None:
        """Show another view of the run."""
        self.view, self.look = view, look
        self.redraw()

    def redraw(self) -> None:
        """Draw again, because what is shown has changed."""
        if self.is_mounted:
            self._body.redraw(self.look)

    def action_leave(self) -> None:
        self.dismiss(None)


class SheetBody(FramedLines):
    """The frame of a sheet."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(sheet.SHEET_TITLE)
        self._sheet = sheet
        self._look = sheet.look

    def redraw(self, look: Look | None = None) -> None:
        """Draw again, as high as the content is, where the terminal is."""
        super().redraw(look)
        height = max(len(self._content.lines), LEAST_ROWS) + 2
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height

    def draw(self, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # the sheet has it
        """What the sheet shows."""
        return self._sheet.content(width, height)


def key_hints(*hints: tuple[str, str]) -> Line:
    """Keys and what they do, for the lower edge."""
    parts = [part for key, words in hints for part in (Span(key, "accent", is_bold=True), Span(f" {words}   ", "dim"))]
    return line(*parts, Span("esc", "accent", is_bold=True), Span(" leave", "dim"))


def choices(names: Sequence[str], chosen: int) -> Line:
    """Names side by side, one of them chosen; they are ours or clean already."""
    parts: list[Span] = []
    for index, name in enumerate(names):
        is_chosen = index == chosen
        parts += [
            Span(f" {name} ", "accent" if is_chosen else "dim", is_bold=is_chosen, is_chosen=is_chosen),
            Span(" "),
        ]
    return line(*parts)
