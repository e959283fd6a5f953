"""The state of a run now, asked once: the same model as the screen's, read and judged to its end; and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.summary import RunSummary
from jepa_core.watch.findings import Firing
from jepa_core.watch.verdict import verdict_to_json
from jepa_monitor.feed.event_bounds import pruned
from jepa_monitor.model.run_model import live_model
from jepa_monitor.model.run_view import Outlook, RunView
from jepa_monitor.text_view import NUM_EVENTS

JUDGE_SECONDS = 60.0
"""About the longest that rows are judged; a view of more rows than that says so."""


def take_snapshot(run: Path, clock: Clock = SYSTEM_CLOCK) -> RunView:
    """The run in the directory `run`.

    Raises:
        RunDirectoryError: there is no run directory there.
    """
    return live_model(run, clock).catch_up(JUDGE_SECONDS)


def view_to_json(view: RunView) -> dict[str, Any]:
    """What `text_view` shows, as plain values; non-finite figures as the text "nan", "inf" or "-inf"."""
    plain: dict[str, Any] = encode(
        {
            "name": view.name,
            "path": view.path,
            "state": view.state,
            "status": attrs.asdict(view.status) if view.status else None,
            "heartbeat_age": view.heartbeat_age,
            "num_rows": view.history.num_rows,
            "judged_rows": view.history.num_rows if view.judged_rows is None else view.judged_rows,
            "figures": view.finals,
            "units": {name: metric.unit for name, metric in view.metrics.items() if metric.unit},
            "judgements": [_judgement(outlook) for outlook in view.outlooks],
            "firings": [firing_to_json(firing) for firing in view.firings],
            "events": [attrs.asdict(event) for event in view.events[-NUM_EVENTS:]],
            "ranks": [attrs.asdict(lane) for lane in view.ranks.lanes],
            "straggler": view.ranks.straggler and attrs.asdict(view.ranks.straggler),
            **view.nulls.to_environment(),
            "verdict": None,
            "damaged": view.damaged,
            "problems": view.problems,
        }
    )
    if view.verdict is not None:
        plain["verdict"] = verdict_to_json(view.verdict)
    return plain


def firing_to_json(firing: Firing) -> dict[str, Any]:
    """As plain values; a change of the recipe that is nested without end is cut."""
    return {**attrs.asdict(firing, recurse=False), "evidence": pruned(firing.evidence), "set": pruned(firing.set)}


def runs_to_json(summaries: Iterable[RunSummary]) -> list[dict[str, Any]]:
    """One object a run, in the order given."""
    return [encode(attrs.asdict(summary)) for summary in summaries]


def _judgement(outlook: Outlook) -> dict[str, Any]:
    return {
        **attrs.asdict(outlook.judgement),
        "prospect": outlook.prospect,
        "metric": outlook.metric,
        "crossing_step": outlook.crossing_step,
    }
