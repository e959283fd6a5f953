"""What of a run wants attention, and what its watcher did about it: acknowledged, or silenced for a while.

Frozen values. Alerts are raised from firings, from non-finite values and critical events, and from a process that is
gone. Nothing of this is written down: acknowledging is between the watcher and this screen. Knows nothing of widgets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import attrs

from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.naming import typed_name
from jepa_core.watch.findings import Firing, Severity
from jepa_monitor.model.run_view import RunView

AlertState = Literal["new", "snoozed", "acknowledged"]
Action = Literal["raised", "acknowledged", "snoozed"]

HISTORY_LENGTH = 500
"""Newest entries of the history that are kept."""

NON_FINITE = "non-finite"
"""Name of the event that the trainer writes when a value is not finite."""

_ENDED_BADLY: Mapping[str, tuple[Severity, str]] = {
    "crashed": ("critical", "The run's process is gone, and it did not say why."),
    "stale": ("warning", "The run gives no sign of life."),
}


@attrs.frozen(kw_only=True)
class Moment:
    """Now, by two clocks: one to tell people, one that is never set back."""

    wall: float
    """Seconds since 1970."""
    monotonic: float

    @staticmethod
    def read(clock: Clock = SYSTEM_CLOCK) -> Moment:
        """The present moment."""
        return Moment(wall=clock.now(), monotonic=clock.monotonic())


@attrs.frozen(kw_only=True)
class Alert:
    """One thing that wants attention. Foreign text in it is as recorded."""

    key: str
    """The same for the same thing, however often the run is read."""
    subject: str
    """What is silenced by a snooze, such as "rollback B": its later alerts too."""
    severity: Severity
    message: str
    advice: str = ""
    step: float | None = None
    time: float | None = None
    """When it was recorded, seconds since 1970; None where that is not known."""


@attrs.frozen(kw_only=True)
class HistoryEntry:
    """Something that happened to an alert."""

    time: float
    action: Action
    alert: Alert
    detail: str = ""


@attrs.frozen(kw_only=True)
class AlertBook:
    """All alerts of one run; every change gives a new book."""

    alerts: tuple[Alert, ...] = ()
    """As the run stands now, oldest first."""
    raised: frozenset[str] = frozenset()
    """Keys of all alerts that there ever were, those included that a replay took back."""
    acknowledged: frozenset[str] = frozenset()
    """Keys."""
    told: frozenset[str] = frozenset()
    """Keys of the alerts that the watcher was notified of."""
    snoozes: Mapping[str, float] = attrs.field(factory=dict)
    """Subject → monotonic time until which it is silent."""
    history: tuple[HistoryEntry, ...] = ()
    """Oldest first."""
    has_looked: bool = False
    """Whether the run was observed before: what it had then is no news."""

    def observe(self, view: RunView, now: Moment) -> AlertBook:
        """With the alerts of the run as it is now."""
        alerts = raised_by(view)
        entries = [
            HistoryEntry(time=now.wall if alert.time is None else alert.time, action="raised", alert=alert)
            for alert in alerts
            if alert.key not in self.raised
        ]
        told = self.told if self.has_looked else frozenset(alert.key for alert in alerts)
        raised = self.raised | {alert.key for alert in alerts}
        return attrs.evolve(self, alerts=alerts, raised=raised, told=told, has_looked=True)._with(entries)

    def acknowledge(self, keys: Iterable[str], now: Moment) -> AlertBook:
        """The alerts are seen: they stay listed and never ring again."""
        seen = set(keys) - self.acknowledged
        entries = [
            HistoryEntry(time=now.wall, action="acknowledged", alert=alert)
            for alert in self.alerts
            if alert.key in seen
        ]
        changed = attrs.evolve(self, acknowledged=self.acknowledged | {entry.alert.key for entry in entries})
        return changed._with(entries)

    def snooze(self, key: str, minutes: float, now: Moment) -> AlertBook:
        """Silence the subject of an alert; when the time is over, it rings again unless acknowledged."""
        alert = next((alert for alert in self.alerts if alert.key == key), None)
        if alert is None:
            return self
        snoozes = {subject: until for subject, until in self.snoozes.items() if until > now.monotonic}
        snoozes[alert.subject] = now.monotonic + 60 * minutes
        untold = self.told - {other.key for other in self.alerts if other.subject == alert.subject}
        entry = HistoryEntry(time=now.wall, action="snoozed", alert=alert, detail=f"for {minutes:g} minutes")
        return attrs.evolve(self, snoozes=snoozes, told=untold)._with([entry])

    def state_of(self, alert: Alert, now: Moment) -> AlertState:
        """How an alert stands."""
        if alert.key in self.acknowledged:
            return "acknowledged"
        return "snoozed" if self.seconds_left(alert, now) > 0 else "new"

    def seconds_left(self, alert: Alert, now: Moment) -> float:
        """How long its subject stays silent; 0 when it does not."""
        return max(self.snoozes.get(alert.subject, now.monotonic) - now.monotonic, 0.0)

    def active(self, now: Moment) -> tuple[Alert, ...]:
        """The alerts that are neither acknowledged nor silenced, oldest first."""
        return tuple(alert for alert in self.alerts if self.state_of(alert, now) == "new")

    def untold(self, now: Moment) -> tuple[Alert, ...]:
        """The active alerts that the watcher was not notified of."""
        return tuple(alert for alert in self.active(now) if alert.key not in self.told)

    def tell(self, alerts: Iterable[Alert]) -> AlertBook:
        """The watcher was notified of these."""
        return attrs.evolve(self, told=self.told | {alert.key for alert in alerts})

    def _with(self, entries: list[HistoryEntry]) -> AlertBook:
        return attrs.evolve(self, history=(*self.history, *entries)[-HISTORY_LENGTH:]) if entries else self


def raised_by(view: RunView) -> tuple[Alert, ...]:
    """Every alert that a run gives rise to, oldest first; each once."""
    times = {event_key(event): event.time for event in view.events}
    alerts: dict[str, Alert] = {}
    for alert in (*_from_firings(view.firings, times), *_from_events(view.events), *_from_state(view)):
        alerts.setdefault(alert.key, alert)
    return tuple(sorted(alerts.values(), key=lambda alert: (alert.step is None, alert.step or 0.0)))


def event_key(event: Event) -> str:
    """The key that an alert of this event has, and of the firing that it tells of."""
    return _key(event.name, event.step) if event.step is not None else f"{event.name}#{event.sequence}"


def _key(subject: str, step: float | None) -> str:
    return f"{subject}@{'' if step is None else f'{step:g}'}"


def _from_firings(firings: Iterable[Firing], times: Mapping[str, float]) -> Iterator[Alert]:
    for firing in firings:
        if firing.severity == "info":
            continue
        subject = f"{firing.kind} {firing.name}"
        key = _key(subject, firing.step)
        yield Alert(
            key=key,
            subject=subject,
            severity=firing.severity,
            message=firing.message,
            advice=firing.advice,
            step=firing.step,
            time=times.get(key),
        )


def _from_events(events: Iterable[Event]) -> Iterator[Alert]:
    for event in events:
        if event.severity == "critical" or event.name == NON_FINITE:
            yield Alert(
                key=event_key(event),
                subject=event.name,
                severity=event.severity,
                message=event.message or event.name,
                advice=event.advice,
                step=event.step,
                time=event.time,
            )


def _from_state(view: RunView) -> Iterator[Alert]:
    if view.state in _ENDED_BADLY:
        severity, message = _ENDED_BADLY[view.state]
        since = view.status.heartbeat if view.status else None
        autopsy = f"jepa autopsy {typed_name(Path(view.path))}"
        yield Alert(
            key=f"{view.state}#{since}",
            subject=view.state,
            severity=severity,
            message=message,
            advice=f"Look at the end of the console; {autopsy} says what ended it, and how to go on.",
            time=since,
        )
