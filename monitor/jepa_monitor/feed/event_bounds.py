"""Events cut to a size that a thousand of them can be kept and shown, whatever was recorded."""

from __future__ import annotations

from typing import Any

import attrs

from jepa_core.run_directory.events import Event

MAX_TEXT = 4000
"""Longest text that is kept, in characters."""
MAX_ENTRIES = 1000
"""Most values that are kept of one event's evidence."""
MAX_NESTING = 8
MAX_SEQUENCE = 2**63 - 1
"""JSON for scripts holds no larger whole number."""

_CUT = "…"


def bounded(event: Event) -> Event:
    """The event, without what is too long, too deep or too many in it."""
    num_characters = len(event.message) + len(event.advice) + len(event.name)
    if not event.evidence and num_characters <= MAX_TEXT and abs(event.sequence) <= MAX_SEQUENCE:
        return event
    return attrs.evolve(
        event,
        sequence=min(max(event.sequence, -MAX_SEQUENCE), MAX_SEQUENCE),
        name=_cut(event.name),
        message=_cut(event.message),
        advice=_cut(event.advice),
        evidence=pruned(event.evidence),
    )


def pruned(recorded: Any) -> Any:
    """Recorded tables and lists, without what is too long, too deep or too many in them."""
    return _Pruning().pruned(recorded, MAX_NESTING)


class _Pruning:
    """Counts what is kept of one event."""

    def __init__(self) -> None:
        self._entries = MAX_ENTRIES
        self._characters = 4 * MAX_TEXT

    def pruned(self, value: Any, nesting: int) -> Any:
        self._entries -= 1
        if isinstance(value, str):
            kept = _cut(value[: max(self._characters, 0)])
            self._characters -= len(kept)
            return kept
        if isinstance(value, dict | list) and (nesting == 0 or self._entries <= 0):
            return _CUT
        if isinstance(value, dict):
            return {_cut(key): self.pruned(item, nesting - 1) for key, item in self._within(value.items())}
        if isinstance(value, list):
            return [self.pruned(item, nesting - 1) for item in self._within(value)]
        return value

    def _within(self, items: Any) -> Any:
        """As many as there is room for."""
        for item in items:
            if self._entries <= 0:
                return
            yield item


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + _CUT
