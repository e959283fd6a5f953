"""SIGINT, SIGTERM and SIGUSR1 as flags read at the end of a step. A second signal ends the process at once."""

from __future__ import annotations

import os
import signal
from types import FrameType

SAVE = signal.SIGUSR1


class Interruption:
    """While entered, the first SIGINT or SIGTERM asks the run to save and stop, and SIGUSR1 to save and go on."""

    def __init__(self) -> None:
        self.stop_signal: int | None = None
        self.save_requested = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM, SAVE):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave us

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == SAVE:
            self.save_requested = True
        elif self.stop_signal is None:
            self.stop_signal = number
        else:
            os._exit(128 + number)

    @property
    def exit_code(self) -> int:
        """128 + the signal's number: 130 after Ctrl-C, 143 after SIGTERM."""
        assert self.stop_signal is not None
        return 128 + self.stop_signal
