"""SIGINT, SIGTERM and SIGUSR1. Once training has begun they are flags, read at the end of a step.

Before that there is nothing to save, and a stop signal ends the program as an exception. A second one ends the process
at once; in a process that is not ours alone, such as a notebook's, it ends the training. Only a process's main thread
gets signals: a run on another one hears of none.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

SAVE = signal.SIGUSR1


class StoppedBeforeTraining(SystemExit):
    """A stop signal came while there was nothing to save yet; `code` is the exit code."""


class Interruption:
    """While entered, the first SIGINT or SIGTERM asks the run to save and stop, and SIGUSR1 to save and go on."""

    def __init__(self, *, owns_process: bool = True) -> None:
        self.owns_process = owns_process
        self.stop_signal: signal.Signals | None = None
        self._save_requested = False
        self._has_state_to_save = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        is_heard = threading.current_thread() is threading.main_thread()
        for number in (signal.SIGINT, signal.SIGTERM, SAVE) if is_heard else ():
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
            if not self.owns_process:
                raise KeyboardInterrupt
            os._exit(128 + number)
        else:
            self.stop_signal = signal.Signals(number)
            if not self._has_state_to_save:
                raise StoppedBeforeTraining(128 + number)
