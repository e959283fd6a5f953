"""The state of a run now, asked once: the same model as the screen's, read and judged to its end."""

from __future__ import annotations

from pathlib import Path

from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_monitor.model.run_model import live_model
from jepa_monitor.model.run_view import RunView

JUDGE_SECONDS = 60.0
"""About the longest that rows are judged; a view of more rows than that says so."""


def take_snapshot(run: Path, clock: Clock = SYSTEM_CLOCK) -> RunView:
    """The run in the directory `run`.

    Raises:
        RunDirectoryError: there is no run directory there.
    """
    return live_model(run, clock).catch_up(JUDGE_SECONDS)
