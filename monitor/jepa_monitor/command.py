"""`jepa monitor`: the state of a run, read from its directory alone."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
from cyclopts import App

from jepa_core.errors import RunDirectoryError
from jepa_core.presentation.terminal import console_for
from jepa_core.run_directory.layout import is_run
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run, runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_monitor.snapshot import take_snapshot
from jepa_monitor.snapshot_json import snapshot_to_json
from jepa_monitor.text_view import text_view

app = App(name="monitor", help="Show the state of a run.")


@app.default
def monitor(path: str = LATEST, /, *, runs_dir: Path = RUNS_DIR, once: bool = False, json: bool = False) -> None:
    """Show the state of a run: progress, rules, retrieval beside counting cells, newest figures and events.

    For example: jepa monitor optimized-2026 --once

    Parameters
    ----------
    path
        A run directory, the start of a run's name, or a folder of runs (its newest one); the newest run when not given.
    runs_dir
        The folder with the run directories.
    once
        Print the state now and leave. This is all that is done today, with or without the flag.
    json
        Print JSON instead of text.

    Raises
    ------
    RunDirectoryError
        There is no such run.
    """
    del once
    snapshot = take_snapshot(RunReader(_run_of(path, runs_dir)))
    if json:
        sys.stdout.write(orjson.dumps(snapshot_to_json(snapshot), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        console_for().print(text_view(snapshot))


def _run_of(path: str, runs_dir: Path) -> Path:
    folder = Path(path)
    if "\0" not in path and folder.is_dir() and not is_run(folder):
        runs = runs_in(folder)
        if runs:
            return runs[-1]
        raise RunDirectoryError(f"{folder} is neither a run directory nor a folder of runs.")
    return find_run(path, runs_dir)
