"""Telling a watcher who looks elsewhere: the terminal's bell, and a desktop notification by OSC 9.

OSC 9 is understood by iTerm2, WezTerm, Ghostty, kitty, Windows Terminal and others; the rest ignore it. It is the only
escape sequence that the monitor writes around Textual, and its payload is cleaned, short and never of digits alone
(`9;4;…` would be a progress bar).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
from textual.app import App

from jepa_core.visible_text import clean
from jepa_monitor.alerts import Alert, AlertBook, Moment
from jepa_monitor.model.run_view import RunView

BELL = "\a"
MOST_CHARACTERS = 160
"""Of a notification's text."""


@attrs.frozen(kw_only=True)
class Notifier:
    """Writes to the terminal, where there is one."""

    write: Callable[[str], object] | None
    """Takes text for the terminal; None where there is no terminal, and nothing is written."""
    bell: bool = True
    desktop: bool = True
    in_tmux: bool = False
    """tmux passes foreign sequences on in an envelope, if its `allow-passthrough` is on."""

    def notify(self, run_name: str, alerts: Sequence[Alert]) -> None:
        """Ring once for all of these alerts; nothing when there are none."""
        if self.write is None or not alerts:
            return
        written = (BELL if self.bell else "") + (
            desktop_notification(notification_text(run_name, alerts), in_tmux=self.in_tmux) if self.desktop else ""
        )
        if written:
            self.write(written)


def notifier_for(
    app: App[Any], *, bell: bool = True, desktop: bool = True, environment: Mapping[str, str] = os.environ
) -> Notifier:
    """A notifier on the application's terminal; silent in a browser, in tests and where the output is no terminal."""
    # Textual has no public way to write to its terminal; its driver queues a text whole, between two frames.
    driver = app._driver
    is_terminal = driver is not None and not driver.is_headless and not driver.is_web and _is_tty(driver)
    return Notifier(
        write=driver.write if driver is not None and is_terminal else None,
        bell=bell,
        desktop=desktop,
        in_tmux=bool(environment.get("TMUX")),
    )


def notification_text(run_name: str, alerts: Sequence[Alert]) -> str:
    """What a notification says: the newest alert, how many others there are, and of which run."""
    newest = alerts[-1]
    others = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    return clean(f"{newest.subject}: {newest.message}{others} - {run_name}", MOST_CHARACTERS)


def desktop_notification(text: str, *, in_tmux: bool = False) -> str:
    """The escape sequence that shows `text` on the desktop."""
    sequence = f"\x1b]9;jepa: {clean(text, MOST_CHARACTERS)}{BELL}"
    return sequence if not in_tmux else f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"


def _is_tty(driver: object) -> bool:
    stream = getattr(driver, "_file", None)
    return stream is not None and bool(stream.isatty())


class AlertWatch:
    """The alerts of one run while it is on the screen: rings for new ones, remembers what was done about them."""

    def __init__(self, *, bell: bool, desktop: bool) -> None:
        """`bell` and `desktop` say how it may ring."""
        self.book = AlertBook()
        self._bell = bell
        self._desktop = desktop

    def begin_again(self) -> None:
        """Another run is shown."""
        self.book = AlertBook()

    def observe(self, view: RunView, app: App[object]) -> None:
        """Ring for what is new."""
        now = Moment.read()
        self.book = self.book.observe(view, now)
        untold = self.book.untold(now)
        if not untold:
            return
        notifier_for(app, bell=self._bell, desktop=self._desktop).notify(view.name, untold)
        self.book = self.book.tell(untold)

    def acknowledge(self, keys: Iterable[str]) -> None:
        """The alerts of these keys were seen."""
        self.book = self.book.acknowledge(keys, Moment.read())

    def snooze(self, key: str, minutes: float) -> None:
        """Silence what the alert is about."""
        self.book = self.book.snooze(key, minutes, Moment.read())
