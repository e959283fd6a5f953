"""SIGINT, SIGTERM, SIGHUP of a closed terminal, and SIGUSR1. Once training has begun they are flags.

Before that there is nothing to save, and a stop signal ends the program as an exception. A second one ends the process
at once; in a process that is not ours alone, such as a notebook's, it ends the training. Only a process's main thread
gets signals: a run on another one hears of none.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Literal

from jepa_core.visible_text import visible_lines

SAVE = signal.SIGUSR1
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


UnderWay = Literal["step", "compiling", "diagnosis", "validation", "ending"]
"""What goes on while a run trains."""


def stopping(under_way: UnderWay) -> str:
    """What is said once a signal has asked for the end."""
    what = {
        "step": "Stopping: the step under way is given up and a checkpoint written.",
        "compiling": "Stopping once the step is compiled, which cannot be broken off: it may take a minute, and a "
        "checkpoint is written then.",
        "diagnosis": "Stopping once the diagnosis is done, which is not broken off: a checkpoint is written then.",
        "validation": "Stopping once the validation is done, which is not broken off: a checkpoint is written then.",
        "ending": "The run is at its end: its last checkpoint is being written, and its verdict follows.",
    }
    without = "them" if under_way == "ending" else "one"
    return f"{what[under_way]} Ctrl-C again ends at once, without {without}."


def ended_at_once(under_way: UnderWay) -> str:
    """What is said once a second signal has ended the process."""
    without = "maybe without" if under_way == "ending" else "without"
    return f"Ended at once, {without} a checkpoint of the last steps."


class StoppedBeforeTraining(SystemExit):
    """A stop signal came while there was nothing to save yet; `code` is the exit code."""


class Interruption:
    """While entered, the first SIGINT, SIGTERM or SIGHUP asks the run to save and stop, and SIGUSR1 to save and go on.
    A SIGHUP that is ignored, as under nohup, stays so.

    Python's handlers wait for the main thread, which may be within one call to torch for long. So a thread hears of
    signals too, at once: it acknowledges the first stop, and ends the process at the second.
    """

    def __init__(self, *, owns_process: bool = True, heeds_repeats: bool = True) -> None:
        """`heeds_repeats`: whether a second stop signal ends it all. Of several ranks each gets the terminal's and then
        that of torchrun, which kills those that take too long."""
        self.owns_process = owns_process
        self._heeds_repeats = heeds_repeats
        self.stop_signal: signal.Signals | None = None
        self.last_words: Callable[[], str] = str
        """What is written to the standard error when the process ends at once."""
        self._save_requested = False
        self._has_state_to_save = False
        self._previous: dict[int, object] = {}
        self._hearing: _Hearing | None = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (*STOPS, SAVE):
                if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._previous[number] = signal.signal(number, self._note)
            ends = self.owns_process and self._heeds_repeats
            self._hearing = _Hearing(self._end_at_once if ends else None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave us
        if self._hearing is not None:
            self._hearing.end()

    def wait_for_steps(self) -> None:
        """From now on a stop signal waits for the next micro-batch."""
        self._has_state_to_save = True

    @contextmanager
    def acknowledged(self, tell: Callable[[], None]) -> Iterator[None]:
        """Within it `tell` is called once a stop signal has come, at most once, on another thread."""
        if self._hearing is None:
            yield
            return
        self._hearing.tell_with(tell)
        try:
            yield
        finally:
            self._hearing.tell_with(None)

    def take_save_request(self) -> bool:
        """Whether a save was asked for since the last call."""
        requested, self._save_requested = self._save_requested, False
        return requested

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == SAVE:
            self._save_requested = True
        elif self.stop_signal is not None:
            if not self._heeds_repeats and self._has_state_to_save:
                return
            if not self.owns_process:
                raise KeyboardInterrupt
            self._end_at_once(number)
        else:
            self.stop_signal = signal.Signals(number)
            if not self._has_state_to_save:
                raise StoppedBeforeTraining(128 + number)

    def _end_at_once(self, number: int) -> None:
        try:
            with suppress(OSError):
                os.write(2, visible_lines(self.last_words()).encode())
        finally:
            os._exit(128 + number)


class _Hearing:
    """A thread that reads the numbers of signals, which the interpreter writes into a pipe the moment they come."""

    def __init__(self, end_at_once: Callable[[int], None] | None) -> None:
        """`end_at_once`: what a second stop signal does, given its number; None where it is not ours to do."""
        self._end_at_once = end_at_once
        self._tell: Callable[[], None] | None = None
        self._is_stopping = self._is_told = False
        self._lock = threading.Lock()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._previous = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._hear, name="jepa-signals", daemon=True)
        self._thread.start()

    def end(self) -> None:
        signal.set_wakeup_fd(self._previous)
        os.close(self._write)
        self._thread.join()
        os.close(self._read)

    def tell_with(self, tell: Callable[[], None] | None) -> None:
        """Whom to tell of the first stop, at once if it has come."""
        with self._lock:
            self._tell = tell
            self._tell_if_due()

    def _hear(self) -> None:
        while numbers := os.read(self._read, 64):
            for number in numbers:
                if number not in STOPS:
                    continue
                if self._is_stopping and self._end_at_once is not None:
                    self._end_at_once(number)
                with self._lock:
                    self._is_stopping = True
                    self._tell_if_due()

    def _tell_if_due(self) -> None:
        if self._is_stopping and self._tell is not None and not self._is_told:
            self._is_told = True
            with suppress(OSError):  # nobody reads any more
                self._tell()
