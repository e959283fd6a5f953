"""A run followed from its directory while it grows, or when it has ended."""

from __future__ import annotations

from pathlib import Path

import attrs

from jepa_core.errors import RunDirectoryError
from jepa_core.rollback.successor import following
from jepa_core.run_directory.children import with_child
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.layout import (
    CONSOLE,
    DIAGNOSTICS,
    ENVIRONMENT,
    EVENTS,
    METRICS,
    RECIPE,
    STATUS,
    VERDICT,
    is_run,
)
from jepa_core.run_directory.naming import run_beside
from jepa_core.run_directory.reading import RowsPosition, RunReader
from jepa_core.run_directory.recorded_files import with_plugin_flags
from jepa_core.run_directory.status import ShownState, Status, read_status, shown_state
from jepa_core.run_directory.watched_file import WatchedFile
from jepa_core.watch.verdict import Verdict
from jepa_monitor.feed.event_bounds import bounded
from jepa_monitor.feed.feed import News, Surroundings
from jepa_monitor.feed.newest_lines import newest_record, newest_text
from jepa_monitor.feed.rank_rows import RankFiles


class LiveFeed:
    """The run in a directory. It may vanish and come back."""

    replay_position = ""

    def __init__(self, run: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        """
        Raises:
            RunDirectoryError: there is no run directory there.
        """
        self._reader = RunReader(run)
        self._sign_of_life = SignOfLife(clock)
        self._surroundings = SurroundingsReader(self._reader)

    @property
    def rows_position(self) -> RowsPosition:
        return self._reader.rows_position

    def go_on_from(self, position: RowsPosition) -> None:
        self._reader.go_on_from(position)

    def poll(self) -> News:
        new = self._reader.poll()
        surroundings = self._surroundings.refresh()
        return News(
            rows=new.rows,
            events=tuple(map(bounded, new.events)),
            rows_restarted=new.rows_restarted,
            events_restarted=new.events_restarted,
            more=new.more,
            damaged=self._reader.damaged,
            surroundings=surroundings,
            state=self._sign_of_life.state(surroundings.status),
            heartbeat_age=self._sign_of_life.age(surroundings.status),
        )


class SurroundingsReader:
    """The small files of a run, each read again only when it changed."""

    def __init__(self, reader: RunReader) -> None:
        self._run = run = reader.path
        self._verdict_problem = ""
        self._events_passed_over = 0
        self._files = tuple(run / name for name in (METRICS, EVENTS, DIAGNOSTICS, CONSOLE, STATUS, RECIPE, ENVIRONMENT))
        self._reader = reader
        self._status = WatchedFile(run / STATUS, lambda path: read_status(path.parent))
        self._told = with_child(run, self._status.content)
        """The status as it is to be told."""
        self._verdict = WatchedFile(run / VERDICT, lambda _: self._read_verdict())
        self._recipe = WatchedFile(run / RECIPE, lambda _: reader.recipe())
        self._environment = WatchedFile(run / ENVIRONMENT, lambda _: reader.environment())
        self._diagnosis = WatchedFile(run / DIAGNOSTICS, newest_record)
        self._console = WatchedFile(run / CONSOLE, newest_text)
        self._ranks = RankFiles(run)
        self._now = self._gathered()

    def refresh(self) -> Surroundings:
        """What they say now; the same object while nothing changed."""
        was_there, is_there = self._now.is_there, is_run(self._run)
        if not is_there:
            if was_there:
                self._now = attrs.evolve(self._now, is_there=False, status=None, problems=(f"{self._run} is gone",))
            return self._now
        passed_over, self._events_passed_over = self._events_passed_over, self._reader.events_passed_over
        files = (self._status, self._verdict, self._recipe, self._environment, self._diagnosis, self._console)
        changed = [file.refresh() for file in (*files, self._ranks)]
        told_before, self._told = self._told, with_child(self._run, self._status.content)
        if any(changed) or told_before != self._told or not was_there or passed_over != self._events_passed_over:
            self._now = self._gathered()
        return self._now

    def _gathered(self) -> Surroundings:
        return Surroundings(
            status=self._told,
            verdict=self._verdict_now(),
            recipe=self._recipe.content,
            environment=self._environment.content,
            diagnosis=self._diagnosis.content,
            console=self._console.content,
            ranks=self._ranks.content,
            problems=tuple(self._problems()),
        )

    def _verdict_now(self) -> Verdict | None:
        """What it says to type next holds no longer where another run goes on in this one's place."""
        verdict, status = self._verdict.content, self._told
        child = run_beside(self._run, status.child) if status is not None and status.state == "rolled_back" else None
        return attrs.evolve(verdict, next=following(child)) if verdict is not None and child is not None else verdict

    def _problems(self) -> list[str]:
        problems = [self._verdict_problem] if self._verdict_problem else []
        links = [path for path in self._files if path.is_symlink()]
        problems += [f"{path} is a symbolic link: it is not read" for path in links]
        if self._events_passed_over:
            problems.append(
                f"{self._run / EVENTS} is long: its first {self._events_passed_over / 2**20:.1f} MiB are not read"
            )
        status = self._status.content
        is_beginning = status is not None and status.state == "starting" and not (self._run / RECIPE).exists()
        if not self._recipe.content and self._run / RECIPE not in links and not is_beginning:
            problems.append(f"{self._run / RECIPE} is missing or damaged: there are no rules to judge by")
        if status is None and self._run / STATUS not in links:
            problems.append(f"{self._run / STATUS} is missing or damaged: whether it still runs cannot be told")
        return problems

    def _read_verdict(self) -> Verdict | None:
        self._verdict_problem = ""
        try:
            found = self._reader.verdict()
        except RunDirectoryError as error:
            self._verdict_problem = str(error)
            return None
        return found and attrs.evolve(found, next=with_plugin_flags(found.next, self._run))


class SignOfLife:
    """How long ago a run last gave a sign of life, whatever its clock or ours was set to.

    Times since a heartbeat that was seen to come are by our monotonic clock; only the age of the first one is taken
    from the two wall clocks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heartbeat: float | None = None
        self._age_when_seen = 0.0
        self._seen_at = 0.0

    def age(self, status: Status | None) -> float | None:
        """Seconds since the last sign of life, never negative; None when there was none."""
        if status is None:
            self._heartbeat = None
            return None
        if status.heartbeat != self._heartbeat:
            is_first = self._heartbeat is None
            self._age_when_seen = max(0.0, self._clock.now() - status.heartbeat) if is_first else 0.0
            self._seen_at = self._clock.monotonic()
            self._heartbeat = status.heartbeat
        return self._age_when_seen + max(0.0, self._clock.monotonic() - self._seen_at)

    def state(self, status: Status | None) -> ShownState:
        """The run's state, stale by the age that `age` tells."""
        age = self.age(status)
        if status is None or age is None:
            return "unknown"
        heartbeat = status.heartbeat
        return shown_state(status, Clock(now=lambda: heartbeat + age))
