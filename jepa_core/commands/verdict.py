"""`jepa verdict RUN`: what a run came to."""

from __future__ import annotations

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import RunsDir
from jepa_core.errors import RunDirectoryError
from jepa_core.json_text import print_json
from jepa_core.presentation.terminal import console_for
from jepa_core.presentation.verdict_table import verdict_table
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run, typed_name
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import read_status
from jepa_core.visible_text import visible
from jepa_core.watch.verdict import verdict_to_json


def verdict(run: str = LATEST, /, *, runs_dir: RunsDir = RUNS_DIR, json: Flag = False) -> None:
    """Show the verdict on a run: every must and nice with value and margin, the comparison, what to do next.

    For example: jepa verdict latest

    Parameters
    ----------
    run
        A run directory, the start of a run's name or the time in it, or latest; the newest run when not given.
    json
        Print verdict.json, which has the exit code too.

    Raises
    ------
    RunDirectoryError
        There is no such run, or it has no verdict.
    """
    reader = RunReader(find_run(run, runs_dir))
    found = reader.verdict()
    if found is None:
        raise RunDirectoryError(
            f"{reader.name} has no verdict: it is {reader.state().replace('_', ' ')}.\n"
            f"Where it stands: jepa monitor {typed_name(reader.path)} --once"
        )
    if json:
        print_json(verdict_to_json(found))
    else:
        console_for().print(verdict_table(found), crop=False)
        status = read_status(reader.path)
        if status is not None and status.child:
            print(f"\nIt was rolled back since: {visible(status.child)} goes on in its place.")
