"""A widget of one row, and what stands in the last one: the keys that matter here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from textual.events import Resize
from textual.strip import Strip
from textual.widget import Widget

from jepa_monitor.charts.look import Look
from jepa_monitor.keys import KEPT_LONGEST, Key, shown_key
from jepa_monitor.panels.framed_lines import to_strip
from jepa_monitor.panels.line import NOTHING, Line, Span, line

_LAST = ("quit", "help")
_BEFORE_HINT = 5
"""Keys that matter more than the hint."""


class OneLine(Widget):
    """Shows a line that is made for its width; draws again only when the line differs."""

    DEFAULT_CSS = "OneLine { height: 1; width: 1fr; }"

    def __init__(self, make: Callable[[int], Line], look: Look, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._make = make
        self._look = look
        self._line = Line()
        self._made_for = 0

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
        self._made_for = self.size.width
        made = self._make(self._made_for).fitted(self._made_for)
        if force or made != self._line:
            self._line = made
            self.refresh()

    def render_line(self, y: int) -> Strip:
        if self._made_for != self.size.width:
            self.call_later(self._redraw, force=True)  # its first size may be no news: see `FramedLines.render_line`
        return to_strip(self._line, self._look) if y == 0 else Strip.blank(self.size.width)


def key_line(
    keys: Iterable[Key],
    keymap: Mapping[str, str],
    width: int,
    *,
    urgent: Collection[str] = (),
    also: Collection[str] = (),
    without: Collection[str] = (),
    hint: Line = NOTHING,
) -> Line:
    """As many keys as fit, help and quit among them always, then those that matter most.

    Args:
        urgent: ids of keys that something waits for: kept first, and emphasised.
        also: ids of keys that are shown here although they are not elsewhere.
        without: ids of keys that do nothing here.
        hint: stands before "quit", where there is room beside the keys that matter most.
    """
    shown = [key for key in keys if (key.in_key_line or key.id in also) and key.id not in without]
    kept = [key for key in shown if key.id in _LAST]
    room = width - sum(_item(key, keymap).width for key in kept)
    by_importance = sorted(shown, key=lambda key: (key.id not in urgent, _importance(key)))
    for index, key in enumerate(key for key in by_importance if key.id not in _LAST):
        if index == _BEFORE_HINT:
            hint = hint if hint.width <= room else NOTHING
            room -= hint.width
        item = _item(key, keymap)
        if item.width <= room:
            kept.append(key)
            room -= item.width
    in_order = sorted(kept, key=lambda key: (key.id == "quit", key.id != "help", shown.index(key)))
    items = [_item(key, keymap, is_urgent=key.id in urgent) for key in in_order]
    return line(*items[:-1], hint, items[-1]).fitted(width)


def _importance(key: Key) -> int:
    return KEPT_LONGEST.index(key.id) if key.id in KEPT_LONGEST else len(KEPT_LONGEST)


def _item(key: Key, keymap: Mapping[str, str], *, is_urgent: bool = False) -> Line:
    words = Span(f" {key.label} ", "bad" if is_urgent else "dim", is_urgent)
    return line(" ", Span(shown_key(key, keymap), "accent", is_bold=is_urgent), words)
