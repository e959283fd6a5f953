"""One observer on a thread of its own: calls queued, timed, and counted when they fail. Knows no recipe and no run."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import attrs

from jepa_core.discovery.offer import in_words

CAPACITY = 1000
"""Calls that may wait; further ones are dropped."""

MAX_FAULTS = 3
"""Calls that may raise or be slow before the observer is switched off."""

SLOW_SECONDS = 2.0
"""A call that takes longer is a fault; start and end may take as long as they need."""

STUCK_SECONDS = 120.0
"""A call that takes longer is not waited for any more."""

_UNTIMED = frozenset({"start", "end"})


@attrs.frozen
class SwitchedOff:
    """Why an observer was switched off."""

    cause: str
    num_faults: int


class ObserverWorker:
    """Calls an observer's methods one after another, and never makes the caller wait."""

    def __init__(
        self, observer: Any, label: str, *, capacity: int = CAPACITY, slow_seconds: float = SLOW_SECONDS
    ) -> None:
        self.label = label
        """What the observer is called in messages."""
        self.num_dropped = 0
        """Calls that found the queue full."""
        self.switched_off: SwitchedOff | None = None
        self._observer = observer
        self._slow_seconds = slow_seconds
        self._num_faults = 0
        self._calls: queue.Queue[tuple[str, tuple[Any, ...]] | None] = queue.Queue(capacity)
        self._call_started: float | None = None
        self._thread = threading.Thread(target=self._work, name=f"observer {label}", daemon=True)
        self._thread.start()

    def tell(self, method: str, *arguments: Any) -> None:
        """Queue a call. Returns at once; `arguments` must be copies that nobody else keeps."""
        if self.switched_off is not None:
            return
        started = self._call_started
        if started is not None and time.monotonic() - started > STUCK_SECONDS:
            self.switched_off = SwitchedOff(f"a call takes longer than {STUCK_SECONDS:.0f} s", self._num_faults + 1)
            return
        try:
            self._calls.put_nowait((method, arguments))
        except queue.Full:
            self.num_dropped += 1

    def finish(self, verdict: Any, deadline: float) -> bool:
        """Call `end` after all that waits; whether it was all done by `deadline`, of the monotonic clock."""
        if self.switched_off is not None:
            return True
        for call in (("end", (verdict,)), None):
            try:
                self._calls.put(call, timeout=max(0.0, deadline - time.monotonic()))
            except queue.Full:
                return False
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if self.switched_off is None:
                self._call(*call)

    def _call(self, method: str, arguments: tuple[Any, ...]) -> None:
        cause = None
        self._call_started = started = time.monotonic()
        try:
            function = getattr(self._observer, method, None)
            if function is not None:
                function(*arguments)
        except BaseException as error:  # SystemExit would end the thread without a word
            cause = f"{method} raised {in_words(error)}"
        seconds = time.monotonic() - started
        self._call_started = None
        if cause is None and seconds > self._slow_seconds and method not in _UNTIMED:
            cause = f"{method} took {seconds:.1f} s"
        if cause is not None:
            self._num_faults += 1
            # Without a start the other calls mean nothing; without an end nothing more is called.
            if self._num_faults >= MAX_FAULTS or method in _UNTIMED:
                self.switched_off = SwitchedOff(cause, self._num_faults)
