"""Which events are listed where all would be too many: there are many checkpoints, and they say little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from jepa_core.run_directory.events import Event

Sieve = Literal["without older checkpoints", "everything", "warnings", "critical"]
SIEVES: tuple[Sieve, ...] = get_args(Sieve)
"""In the order in which a key goes through them."""
CHECKPOINT = "checkpoint"


def sifted(events: Sequence[Event], sieve: Sieve) -> tuple[Event, ...]:
    """The events that are listed."""
    if sieve == "everything":
        return tuple(events)
    if sieve in ("warnings", "critical"):
        shown = ("critical",) if sieve == "critical" else ("warning", "critical")
        return tuple(event for event in events if event.severity in shown)
    newest = max((event.sequence for event in events if event.name == CHECKPOINT), default=None)
    return tuple(event for event in events if event.name != CHECKPOINT or event.sequence == newest)
