"""What goes on while nothing else is shown, and for how long: a line that moves on a terminal, elsewhere a
plain one every ten seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from jepa_core.presentation.quantity import duration_text

EVERY = 10.0
"""Seconds between two plain lines."""


class AtWork:
    """Says so from `__init__` to `stop`, on a thread of its own."""

    def __init__(
        self, console: Console, what: str, *, every: float = EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._what = what
        self._clock = clock
        self._began = clock()
        self._is_over = threading.Event()
        self._status = console.status(self) if console.is_terminal else None
        self._thread = None if self._status else threading.Thread(target=self._tell, args=(every,), daemon=True)
        if self._status is not None:
            self._status.start()
        elif self._thread is not None:
            self._thread.start()

    def say(self, what: str) -> None:
        """What goes on now. Its time is its own, so that a slow part is known by it; the same said again goes on."""
        if what != self._what:
            # The new time first: the thread that shows it must not give the old part's time to the new one.
            self._began = self._clock()
            self._what = what

    def stop(self) -> None:
        """Say no more; a second call does nothing."""
        self._is_over.set()
        if self._status is not None:
            self._status.stop()
        elif self._thread is not None:
            self._thread.join()

    def __rich__(self) -> Text:
        seconds = self._clock() - self._began
        taken = f"{seconds:.0f} s" if seconds < 60 else duration_text(seconds)  # a minute
        return Text(f"{self._what} · {taken}", style="dim")

    def _tell(self, every: float) -> None:
        while not self._is_over.wait(every):
            self._console.print(self, soft_wrap=True)
            self._console.file.flush()


@contextmanager
def at_work(console: Console, what: str) -> Iterator[AtWork]:
    """The same for a block."""
    work = AtWork(console, what)
    try:
        yield work
    finally:
        work.stop()
