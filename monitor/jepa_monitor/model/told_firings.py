"""What fired by the trainer's own word, from the events it recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_type_hints

from jepa_core.recorded_numbers import decode_number
from jepa_core.run_directory.events import Event
from jepa_core.watch.findings import Firing

MAX_TOLD = 1000
"""Most firings that are kept."""

_KINDS: dict[str, Any] = {kind: kind for kind in get_args(get_type_hints(Firing)["kind"])}
_BESIDE_EVIDENCE = ("set", "use", "first_sign")


def firing_of_event(event: Event) -> Firing | None:
    """The firing that an event tells of; None when it tells of something else."""
    kind = next((kind for kind in _KINDS if event.name == kind or event.name.startswith(f"{kind} ")), None)
    if kind is None:
        return None
    change, use = event.evidence.get("set"), event.evidence.get("use")
    return Firing(
        name=event.name.removeprefix(kind).strip() or kind,
        kind=_KINDS[kind],
        severity=event.severity,
        message=event.message,
        step=event.step,
        epoch=event.epoch,
        evidence={name: value for name, value in event.evidence.items() if name not in _BESIDE_EVIDENCE},
        advice=event.advice,
        set=change if isinstance(change, Mapping) else {},
        use=use if isinstance(use, str) else "",
        first_sign=decode_number(event.evidence.get("first_sign")),
    )


class ToldFirings:
    """The firings among a run's events: of each rule the newest."""

    def __init__(self) -> None:
        self._firings: dict[tuple[str, str], Firing] = {}

    def take(self, events: Iterable[Event]) -> None:
        """Look through further events."""
        for event in events:
            firing = firing_of_event(event)
            if firing is not None and (len(self._firings) < MAX_TOLD or _key(firing) in self._firings):
                self._firings[_key(firing)] = firing

    def beside(self, judged: Iterable[Firing]) -> tuple[Firing, ...]:
        """`judged`, and those told of other rules, in the order of their steps."""
        firings = {**self._firings, **{_key(firing): firing for firing in judged}}
        return tuple(sorted(firings.values(), key=lambda firing: firing.step or 0.0))


def _key(firing: Firing) -> tuple[str, str]:
    return firing.kind, firing.name
