"""`jepa monitor`: a run, or a folder of runs, on the screen; as text or JSON where there is no screen."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from jepa_core.commands.flag import Flag
from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.layout import is_run
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run, runs_in

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jepa_monitor.runs.awaited_run import AwaitedRun

app = App(name="monitor", help="Watch a run.")


@app.default
def monitor(
    path: str = LATEST,
    /,
    *,
    runs_dir: Path = RUNS_DIR,
    once: Flag = False,
    json: Flag = False,
    replay: float | None = None,
    ascii: bool | None = None,  # noqa: A002  # the flag's name
    color: bool = True,
    preferences: bool = True,
) -> int:
    """Watch a run, live or after its end: charts, rules, representation, events. Press ? for the keys.

    For example: jepa monitor latest --replay 20

    In a terminal, a run that is not there yet is awaited, and shown as soon as it begins. The newest run gives
    way to one that begins after its end.
    Where the output is no terminal, the state now is printed as text. It reads files alone, so a copied run will do.

    Parameters
    ----------
    path
        A run directory, the start of a run's name or the time in it, latest, or a folder of runs, which lists them; the
        newest run when not given.
    runs_dir
        The folder with the run directories.
    once
        Print the state now and leave.
    json
        Print the state as JSON and leave.
    replay
        Play the run again, at so many seconds of training a second.
    ascii
        Draw with ASCII characters alone; when not given, only where the terminal does not read UTF-8.
    color
        Draw in colour; the environment variable NO_COLOR switches it off, too.
    preferences
        Remember theme, keys and layout between starts.

    Raises
    ------
    RunDirectoryError
        There is no such run, and it is not awaited.
    """
    is_shown = not json and not once and _has_screen()
    awaited = _awaited(path, runs_dir) if is_shown and replay is None else None
    source = awaited.folder if awaited else _folder_of_runs(path) or find_run(path, runs_dir)
    has_colour = color and not os.environ.get("NO_COLOR")
    if json:
        _print_json(source)
    elif is_shown:
        ascii_only = not _reads_utf8() if ascii is None else ascii
        keeps = path == LATEST and replay is None and not is_run(Path(path))
        return _open(
            source, awaited, keeps, replay, ascii_only=ascii_only, has_colour=has_colour, is_remembering=preferences
        )
    else:
        _print_text(source, ascii_only=bool(ascii), has_colour=has_colour)
    return 0


def _awaited(path: str, runs_dir: Path) -> AwaitedRun | None:
    """The run to wait for; None where there is one to show, or what is asked for can never be there."""
    from jepa_monitor.runs.awaited_run import AwaitedRun

    given = Path(path)
    if not path or "\0" in path or is_run(given):
        return None
    if given.is_dir():
        return None if runs_in(given) else AwaitedRun(name=LATEST, folder=given)
    awaited = AwaitedRun(name=path, folder=runs_dir)
    return awaited if awaited.look().run is None else None


def _open(
    source: Path,
    awaited: AwaitedRun | None,
    keeps_to_newest: bool,
    speed: float | None,
    *,
    ascii_only: bool,
    has_colour: bool,
    is_remembering: bool,
) -> int:
    from jepa_monitor.app import MonitorApp
    from jepa_monitor.preferences import preferences_path, read_preferences

    remembered_in = preferences_path() if is_remembering else None
    app = MonitorApp(
        source,
        awaited=awaited,
        keeps_to_newest=keeps_to_newest,
        speed=speed,
        ascii_only=ascii_only,
        no_colour=not has_colour,
        read=read_preferences(remembered_in),
        preferences_path=remembered_in,
    )
    app.run()
    return app.return_code or 0


def _print_text(source: Path, *, ascii_only: bool, has_colour: bool) -> None:
    from jepa_core.presentation.terminal import InAscii, console_for

    console = console_for()
    console.no_color = console.no_color or not has_colour
    text = _text(source)
    console.print(InAscii(text) if ascii_only else text, crop=False)


def _text(source: Path) -> RenderableType:
    if is_run(source):
        from jepa_monitor.snapshot import take_snapshot
        from jepa_monitor.text_view import text_view

        return text_view(take_snapshot(source))
    from jepa_core.presentation.runs_table import RunsTable
    from jepa_monitor.model.runs_list import list_runs

    return RunsTable(list_runs(source))


def _print_json(source: Path) -> None:
    from jepa_core.json_text import print_json
    from jepa_monitor.model.runs_list import list_runs
    from jepa_monitor.snapshot import runs_to_json, take_snapshot, view_to_json

    content: Any = view_to_json(take_snapshot(source)) if is_run(source) else runs_to_json(list_runs(source))
    print_json(content)


def _reads_utf8() -> bool:
    """Whether the terminal that Textual writes to does."""
    return sys.__stderr__ is None or sys.__stderr__.encoding.lower() == "utf-8"


def _has_screen() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") != "dumb"


def _folder_of_runs(path: str) -> Path | None:
    """The folder that is meant; None when a run is.

    Raises:
        RunDirectoryError: it is a folder without runs.
    """
    folder = Path(path)
    if "\0" in path or not folder.is_dir() or is_run(folder):
        return None
    if not runs_in(folder):
        raise RunDirectoryError(f"{folder} is neither a run directory nor a folder of runs.")
    return folder
