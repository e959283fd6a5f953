"""A widget of one row, and what stands in the last one: the keys that matter here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from textual.events import Resize
from textual.strip import Strip
from textual.widget import Widget

from jepa_monitor.charts.look import Look
from jepa_monitor.keys import Key, shown_key
from jepa_monitor.panels.framed_lines import to_strip
from jepa_monitor.panels.line import Line, Span, line

_LAST = ("quit", "help")


class OneLine(Widget):
    """Shows a line that is made for its width; draws again only when the line differs."""

    DEFAULT_CSS = "OneLine { height: 1; width: 1fr; }"

    def __init__(self, make: Callable[[int], Line], look: Look, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._make = make
        self._look = look
        self._line = Line()

    @property
    def text(self) -> str:
        """What is shown."""
        return self._line.text

    def show(self, make: Callable[[int], Line], look: Look) -> None:
        """Show what `make` gives for the width, now and after a change of size."""
        self._make = make
        is_new_look, self._look = look is not self._look, look
        self._redraw(force=is_new_look)

    def on_resize(self, _event: Resize) -> None:
        self._redraw(force=True)

    def _redraw(self, *, force: bool) -> None:
        made = self._make(self.size.width).fitted(self.size.width)
        if force or made != self._line:
            self._line = made
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return to_strip(self._line, self._look) if y == 0 else Strip.blank(self.size.width)


def key_line(keys: Iterable[Key], keymap: Mapping[str, str], width: int) -> Line:
    """As many keys as fit, help and quit among them always."""
    shown = [key for key in keys if key.in_key_line]
    kept = [key for key in shown if key.id in _LAST]
    room = width - sum(_item(key, keymap).width for key in kept)
    for key in shown:
        item = _item(key, keymap)
        if key.id not in _LAST and item.width <= room:
            kept.append(key)
            room -= item.width
    in_order = sorted(kept, key=lambda key: (key.id == "quit", key.id != "help", shown.index(key)))
    return line(*(_item(key, keymap) for key in in_order)).fitted(width)


def _item(key: Key, keymap: Mapping[str, str]) -> Line:
    return line(" ", Span(shown_key(key, keymap), "accent"), Span(f" {key.label} ", "dim"))
