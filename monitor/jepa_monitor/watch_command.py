"""`jepa watch`: wait for a run, and exit with its code. For scripts and schedulers."""

from __future__ import annotations

from pathlib import Path

from jepa_core.commands.flag import Flag
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run
from jepa_monitor.until import Until


def watch(
    run: str = LATEST,
    /,
    *,
    until: Until = "finished",
    timeout: float | None = None,
    json: Flag = False,
    runs_dir: Path = RUNS_DIR,
) -> int:
    """Wait for a run and exit with its code; print its firings and events as they come, and how far it is each minute.

    For example: jepa watch latest --until success && jepa run digits

    Exit codes are the run's: 0 finished and every must held, 3 stopped by an abort rule or a non-finite value, 4 a must
    failed or could not be judged, 129, 130 or 143 interrupted, 1 it failed. Also 1: it died, gives no sign of life, or
    the time is up. A run that is rolled back is followed into the run that continues it, to the end of the last.

    Parameters
    ----------
    run
        A run directory, the start of a run's name or the time in it, or latest; the newest run when not given.
    until
        What to wait for. finished: the run has ended, however. success: the same, but leave as soon as it can no longer
        finish with every must held. abort: leave as soon as an abort rule fires, before the run has ended for it.
    timeout
        Seconds after which to give up, with code 1; never when not given.
    json
        Print one JSON object a line: `type` is event, firing or end. Each checkpoint is an event there.
    runs_dir
        The folder with the run directories.

    Raises
    ------
    RunDirectoryError
        There is no such run.
    """
    from jepa_monitor.waiting import wait_for

    return wait_for(find_run(run, runs_dir), until, timeout=timeout, json=json)
