"""Running what is left of an ablation: which runs, from where, in which place, and stopping all of them when asked."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol

import attrs

from jepa_core.ablation.devices import Place
from jepa_core.ablation.folder import AblationFolder, FoundRun
from jepa_core.ablation.plan import Outcome, PlannedRun
from jepa_core.ablation.run_process import RunProcess
from jepa_core.errors import RunDirectoryError

_POLL_SECONDS = 0.1


@attrs.frozen(kw_only=True)
class Job:
    """A run to be made or to go on with."""

    planned: PlannedRun
    resume: Path | None
    """None: from the beginning."""


class Screen(Protocol):
    """Who is told while runs go on."""

    def running(self, runs: Sequence[PlannedRun], waiting: int) -> None:
        """These go on, and so many more wait; told many times a second."""

    def ended(self, run: FoundRun, outcome: Outcome, left: int) -> None:
        """A run has ended, and so many are not done yet."""


class StopRequest:
    """While entered, SIGINT, SIGTERM and SIGHUP are counted instead of ending the program."""

    def __init__(self) -> None:
        self.count = 0
        self.exit_code = 0
        """128 and the first signal."""
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup has a closed terminal ignored, and means it.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave us

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self.exit_code = self.exit_code or 128 + number


def jobs_of(runs: Iterable[FoundRun], *, retry_failed: bool = False) -> tuple[Job, ...]:
    """What is left to do: runs that wait, that were stopped on their way, and, if asked for, that failed.

    Raises:
        RunDirectoryError: a run is going on in another process.
    """
    jobs = []
    for run in runs:
        if run.state == "running":
            raise RunDirectoryError(
                f"{run.path} is still running, in a process that an earlier ablation left behind.\n"
                "Wait until it is done, or stop it; its process is in status.json."
            )
        retried = retry_failed and run.state in ("failed", "aborted")
        if run.state in ("waiting", "interrupted") or retried:
            jobs.append(Job(planned=run.planned, resume=run.path if run.can_resume else None))
    return tuple(jobs)


def run_jobs(
    folder: AblationFolder, jobs: Iterable[Job], places: Sequence[Place], screen: Screen, stop: StopRequest
) -> None:
    """Run them all, at most one in each place, until none is left or a stop is requested.

    Stopped runs get a SIGINT and are waited for, so that they write their checkpoints.

    Raises:
        RunDirectoryError: the folder cannot be written; runs that go on are stopped first.
    """
    waiting, running, free, passed_on = deque(jobs), list[RunProcess](), list(places), 0
    try:
        while running or (waiting and not stop.count):
            while free and waiting and not stop.count:
                job = waiting.popleft()
                running.append(RunProcess(folder, job.planned, free.pop(0), job.resume))
            if stop.count > passed_on:
                passed_on = stop.count
                _stop(running)
            for process, outcome in [(process, process.ended()) for process in running]:
                if outcome is not None:
                    running.remove(process)
                    free.append(process.place)
                    folder.note(process.planned, outcome)
                    screen.ended(folder.run(process.planned), outcome, len(waiting) + len(running))
            screen.running([process.planned for process in running], len(waiting))
            time.sleep(_POLL_SECONDS)
    finally:
        _stop(running)
        for process in running:
            process.wait()


def _stop(running: Iterable[RunProcess]) -> None:
    for process in running:
        process.stop()
