"""Rings for what wants attention, and remembers what the person did about it."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import App

from jepa_monitor.alerts import AlertBook, Moment
from jepa_monitor.model.run_view import RunView
from jepa_monitor.notify import notifier_for


class AlertWatch:
    """The alerts of one run while it is on the screen."""

    def __init__(self, *, bell: bool, desktop: bool) -> None:
        """`bell` and `desktop` say how it may ring."""
        self.book = AlertBook()
        self._bell = bell
        self._desktop = desktop

    def begin_again(self) -> None:
        """Another run is shown."""
        self.book = AlertBook()

    def observe(self, view: RunView, app: App[object]) -> bool:
        """Ring for what is new. True when a way back has come up that was not there when the run was first seen."""
        now, was_seen = Moment.read(), self.book.has_looked
        self.book = self.book.observe(view, now)
        untold = self.book.untold(now)
        if not untold:
            return False
        notifier_for(app, bell=self._bell, desktop=self._desktop).notify(view.name, untold)
        self.book = self.book.tell(untold)
        return was_seen and any(alert.can_roll_back for alert in untold)

    def acknowledge(self, keys: Iterable[str]) -> None:
        """The alerts of these keys were seen."""
        self.book = self.book.acknowledge(keys, Moment.read())

    def snooze(self, key: str, minutes: float) -> None:
        """Silence what the alert is about."""
        self.book = self.book.snooze(key, minutes, Moment.read())
