"""SIGINT, SIGTERM and SIGUSR1. Once training has begun they are flags, read at the end of a step.

Before that there is nothing to save, and a stop signal ends the program as an exception. A second one always ends the
process at once.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

SAVE = signal.SIGUSR1


class StoppedBeforeTraining(SystemExit):
    """A stop signal came while there was nothing to save yet; `code` is the exit code."""


class Interruption:
    """While entered, the first SIGINT or SIGTERM asks the run to save and stop, and SIGUSR1 to save and go on."""

    def __init__(self) -> None:
        self.stop_signal: signal.Signals | None = None
        self._save_requested = False
        self._has_state_to_save = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM, SAVE):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave us

    def wait_for_steps(self) -> None:
        """From now on a stop signal waits for the end of a step."""
        self._has_state_to_save = True

    def take_save_request(self) -> bool:
        """Whether a save was asked for since the last call."""
        requested, self._save_requested = self._save_requested, False
        return requested

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == SAVE:
            self._save_requested = True
        elif self.stop_signal is not None:
            os._exit(128 + number)
        else:
            self.stop_signal = signal.Signals(number)
            if not self._has_state_to_save:
                raise StoppedBeforeTraining(128 + number)
