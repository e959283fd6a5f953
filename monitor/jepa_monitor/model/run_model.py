"""A run from its feed to what is shown of it: rows, rules, events, states, put together as one frozen view.

Made to be called again and again by one thread that is not the screen's.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import attrs

from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.status import ALIVE
from jepa_core.watch.verdict import Verdict
from jepa_monitor.feed.feed import Feed, News, Surroundings
from jepa_monitor.feed.live import LiveFeed
from jepa_monitor.history.cache import HistoryCache
from jepa_monitor.history.run_history import MAX_METRICS, RunHistory
from jepa_monitor.model.judging import Judging, rules_in_force
from jepa_monitor.model.outlook import Course, Outlooks
from jepa_monitor.model.ranks import NO_RANKS, ranks_of
from jepa_monitor.model.run_view import RunView
from jepa_monitor.model.told_firings import ToldFirings

NUM_EVENTS = 1000
"""Newest events that a view holds."""
READ_SECONDS = 0.08
"""About the longest that one refresh reads a backlog of rows."""
JUDGE_SECONDS = 0.03
"""About the longest that one refresh judges a backlog of rows."""
MIN_CACHED_ROWS = 20_000
"""Shorter histories are read from the metrics file as fast as from a cache."""
CACHED_AGAIN = 1.25
"""The cache is written again when there are that many times as many rows as in it."""


class RunModel:
    """One run, as far as it is known."""

    def __init__(self, run: Path, feed: Feed, *, cache: HistoryCache | None = None) -> None:
        """
        Args:
            run: its directory.
            feed: where it comes from.
            cache: where its rows are kept in columns; beside the run when not given.
        """
        self.run = run
        self._feed = feed
        self._cache = cache if cache is not None else HistoryCache(run)
        self._cached_rows = 0
        self._name = run.resolve().name
        self._history = RunHistory()
        # What was read of a directory that is gone stays until it is back.
        self._rows_begin_again = self._events_begin_again = False
        self._judging = Judging()
        self._outlooks = Outlooks(self._judging.rules.watch)
        self._events: deque[Event] = deque(maxlen=NUM_EVENTS)
        self._told = ToldFirings()
        self._surroundings: Surroundings | None = None
        self._ranks = NO_RANKS
        self._news: News | None = None
        self._replay_position = ""

    def refresh(self) -> RunView | None:
        """Take in what is new, for at most about a tenth of a second; None when nothing that is shown has changed."""
        is_new = self._read(READ_SECONDS)
        is_new |= self._judging.advance(self._history, JUDGE_SECONDS)
        self._keep_cache()
        return self._view() if is_new else None

    def catch_up(self, judge_seconds: float) -> RunView:
        """Read all there is and judge it, for at most about `judge_seconds`: for whoever asks once.

        A run that goes on being written while this reads may have a few rows more by then.
        """
        self._read(float("inf"))
        self._judging.advance(self._history, judge_seconds)
        self._keep_cache()
        return self._view()

    def close(self) -> None:
        """Keep the rows for next time, where it pays."""
        self._keep_cache(more_than=self._cached_rows + MIN_CACHED_ROWS)

    def _read(self, seconds: float) -> bool:
        if self._news is None:
            self._open_cache()
        until = time.monotonic() + seconds
        is_new = False
        while True:
            news = self._feed.poll()
            is_new |= self._take(news)
            if not news.more or time.monotonic() >= until:
                return is_new

    def _take(self, news: News) -> bool:
        """Take news in; whether there is anything new to show."""
        before, self._news = self._news, attrs.evolve(news, rows=(), events=())  # those are taken now, and many
        self._take_rows(news)
        self._take_events(news)
        is_new = bool(news.rows or news.events or news.rows_restarted or news.events_restarted)
        if news.surroundings is not self._surroundings:
            self._take_surroundings(news.surroundings)
            is_new = True
        position, self._replay_position = self._replay_position, self._feed.replay_position
        is_new |= position != self._replay_position
        return is_new or before is None or _told_state(before) != _told_state(news) or before.damaged != news.damaged

    def _take_rows(self, news: News) -> None:
        self._rows_begin_again |= news.rows_restarted
        if self._rows_begin_again and (news.rows or news.surroundings.is_there):
            self._rows_begin_again = False
            self._history = RunHistory()
            self._cached_rows = 0
            self._judging.begin_again()
        self._history.extend(news.rows)

    def _take_events(self, news: News) -> None:
        self._events_begin_again |= news.events_restarted
        if self._events_begin_again and (news.events or news.surroundings.is_there):
            self._events_begin_again = False
            self._events.clear()
            self._told = ToldFirings()
        self._events.extend(news.events)
        self._told.take(news.events)

    def _take_surroundings(self, surroundings: Surroundings) -> None:
        before, self._surroundings = self._surroundings, surroundings
        recipe, environment = surroundings.recipe, surroundings.environment
        if before is None or recipe is not before.recipe or environment is not before.environment:
            rules = rules_in_force(self.run, recipe, environment)
            self._judging.judge_by(rules)
            self._outlooks = Outlooks(rules.watch)
        if before is None or surroundings.ranks is not before.ranks:
            self._ranks = ranks_of(surroundings.ranks)

    def _open_cache(self) -> None:
        cached = self._cache.load() if self._feed.rows_position is not None else None
        if cached is not None:
            self._history, self._cached_rows = cached.history, cached.history.num_rows
            self._feed.go_on_from(cached.position)

    def _keep_cache(self, more_than: float | None = None) -> None:
        least = max(MIN_CACHED_ROWS, self._cached_rows * CACHED_AGAIN) if more_than is None else more_than
        position, num_rows = self._feed.rows_position, self._history.num_rows
        if position is None or self._news is None or self._news.more or num_rows < least:
            return
        self._cache.save(self._history, position)
        self._cached_rows = num_rows  # also when it could not be written: not to try again with every row

    def _view(self) -> RunView:
        news, surroundings, judging = self._news, self._surroundings, self._judging
        assert news is not None
        assert surroundings is not None
        history, verdict = self._history.view(), _verdict_in_force(surroundings)
        is_behind = judging.judged_rows < history.num_rows
        judgements = verdict.judgements if verdict else judging.judgements()
        return RunView(
            name=self._name,
            path=str(self.run),
            state=news.state,
            status=surroundings.status,
            heartbeat_age=news.heartbeat_age,
            history=history,
            finals=dict(self._history.finals),
            metrics=judging.rules.metrics,
            watch=judging.rules.watch,
            outlooks=self._outlooks.of(judgements, history, self._course(news)),
            firings=self._told.beside(judging.firings) if is_behind else judging.firings,
            events=tuple(self._events),
            diagnosis=surroundings.diagnosis,
            console=surroundings.console,
            verdict=verdict,
            recipe=surroundings.recipe,
            environment=surroundings.environment,
            baseline=judging.rules.baseline,
            damaged=news.damaged,
            problems=tuple(self._problems(surroundings)),
            judged_rows=judging.judged_rows if is_behind else None,
            replay_position=self._replay_position,
            ranks=self._ranks,
        )

    def _course(self, news: News) -> Course:
        status = news.surroundings.status
        goes_on = status is not None and news.state in (*ALIVE, "stale")
        finals = self._history.finals
        return Course(
            step=finals.get("step", 0.0),
            epoch=finals.get("epoch", 0.0),
            total_steps=float(status.total_steps) if status is not None and goes_on else 0.0,
        )

    def _problems(self, surroundings: Surroundings) -> Iterator[str]:
        yield from surroundings.problems
        yield from self._judging.rules.problems
        if self._history.has_passed_over:
            yield f"metrics beyond the first {MAX_METRICS}, or with endless names, are not shown"


def live_model(run: Path, clock: Clock = SYSTEM_CLOCK) -> RunModel:
    """The model of a run that is followed from its directory.

    Raises:
        RunDirectoryError: there is no run directory there.
    """
    return RunModel(run, LiveFeed(run, clock))


def _verdict_in_force(surroundings: Surroundings) -> Verdict | None:
    """A run that goes on again has no verdict yet, whatever was said before."""
    status = surroundings.status
    return None if status is not None and status.state in ALIVE else surroundings.verdict


def _told_state(news: News) -> tuple[object, ...]:
    """State and age of the last sign of life, as precisely as they are told."""
    is_told = news.state in ("stale", "crashed") and news.heartbeat_age is not None
    age = int(news.heartbeat_age or 0.0) if is_told else 0
    return news.state, age if age < 100 else age // 10
