"""The last line of the screen: the keys that matter here. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jepa_monitor.keys import Key, shown_key
from jepa_monitor.panels.line import Line, Span, line

_LAST = ("quit", "help")


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
