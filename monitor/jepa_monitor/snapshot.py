"""The state of a run at one moment, as frozen values: made from its directory by one function."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.baseline_runs import resolve_baseline
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_baseline, recorded_metrics, recorded_watch
from jepa_core.run_directory.status import ShownState, Status
from jepa_core.watch.findings import Firing
from jepa_core.watch.judge import Judge
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.verdict import Verdict

NUM_EVENTS = 8
"""Newest events that a snapshot holds."""


@attrs.frozen(kw_only=True)
class RunSnapshot:
    """What is known of a run now."""

    name: str
    path: str
    state: ShownState
    status: Status | None
    heartbeat_age: float | None
    """Seconds since the last sign of life; None when there was none."""
    num_rows: int
    figures: Mapping[str, float]
    """The newest value of every metric."""
    units: Mapping[str, str]
    """Of the metrics that declare one."""
    judgements: tuple[Judgement, ...]
    firings: tuple[Firing, ...]
    events: tuple[Event, ...]
    """The newest ones, oldest first."""
    verdict: Verdict | None
    damaged: int
    """Lines that could not be read."""
    problems: tuple[str, ...]
    """What else could not be read, in words."""


def take_snapshot(reader: RunReader, clock: Clock = SYSTEM_CLOCK) -> RunSnapshot:
    """Replay what the run has recorded, through the same judge that the trainer uses.

    `reader` must be fresh: it is polled from the beginning.
    """
    recipe = reader.recipe()
    recorded = recorded_watch(recipe)
    problems = list(recorded.problems)
    fingerprint = str(reader.environment().get("data_fingerprint", ""))
    baseline = resolve_baseline(recorded_baseline(recorded.watch), reader.path.parent, fingerprint)
    metrics = recorded_metrics(recipe)
    judge = Judge(recorded.watch, metrics, baseline.values)
    num_rows, firings, events = _replay(reader, judge)
    verdict = None
    try:
        verdict = reader.verdict()
    except RunDirectoryError as error:
        problems.append(str(error))
    status = reader.status()
    return RunSnapshot(
        name=reader.name,
        path=str(reader.path),
        state=reader.state(clock),
        status=status,
        heartbeat_age=clock.now() - status.heartbeat if status else None,
        num_rows=num_rows,
        figures=judge.finals,
        units={metric.name: metric.unit for metric in metrics if metric.unit},
        judgements=verdict.judgements if verdict else judge.judgements(),
        firings=firings,
        events=events,
        verdict=verdict,
        damaged=reader.damaged,
        problems=tuple(problems),
    )


def _replay(reader: RunReader, judge: Judge) -> tuple[int, tuple[Firing, ...], tuple[Event, ...]]:
    firings: list[Firing] = []
    events: tuple[Event, ...] = ()
    num_rows = 0
    more = True
    while more:
        news = reader.poll()
        more = news.more
        for row in news.rows:
            firings.extend(judge.observe(row))
        num_rows += len(news.rows)
        events = (*events, *news.events)[-NUM_EVENTS:]
    return num_rows, tuple(firings), events
