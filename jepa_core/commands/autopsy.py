"""`jepa autopsy RUN`: what a run died of, and what to do."""

from __future__ import annotations

from jepa_core.autopsy.examining import autopsy_to_json, examine
from jepa_core.autopsy.remedies import next_commands
from jepa_core.commands.flag import Flag
from jepa_core.commands.options import RunsDir
from jepa_core.json_text import print_json
from jepa_core.presentation.autopsy_table import autopsy_table
from jepa_core.presentation.terminal import console_for
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run


def autopsy(run: str = LATEST, /, *, runs_dir: RunsDir = RUNS_DIR, json: Flag = False) -> None:
    """See what a run died of: cause, last figures, the component, batch and rules at fault, what is lost, what to do.

    For example: jepa autopsy latest

    Reads the run directory alone, of runs that are stopped, were killed or still go on, too.

    Parameters
    ----------
    run
        A run directory, the start of a run's name or the time in it, or latest; the newest run when not given.
    json
        Print JSON instead of text.

    Raises
    ------
    RunDirectoryError
        There is no such run.
    """
    found = examine(find_run(run, runs_dir))
    commands = next_commands(found)
    if json:
        print_json(autopsy_to_json(found, commands))
        return
    console = console_for()
    console.print(autopsy_table(found, commands, console.width), crop=False)
