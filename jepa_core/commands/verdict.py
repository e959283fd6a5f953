"""`jepa verdict RUN`: what a run came to."""

from __future__ import annotations

import shlex
from pathlib import Path

import attrs

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import RunsDir
from jepa_core.errors import RunDirectoryError
from jepa_core.json_text import print_json
from jepa_core.presentation.terminal import console_for
from jepa_core.presentation.verdict_table import verdict_table
from jepa_core.rollback.successor import following, successor_of
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.lock import is_locked
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run, typed_name
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import with_plugin_flags
from jepa_core.shell_words import with_comment, without_comment
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
    try:
        found = reader.verdict()
    except RunDirectoryError as error:
        typed = typed_name(reader.path)
        raise RunDirectoryError(
            f"{error}\nWhat its rows come to, judged again: jepa check {typed}\n"
            f"What else it recorded, and how to go on: jepa autopsy {typed}"
        ) from error
    if found is None:
        state, typed = reader.state(), typed_name(reader.path)
        ended = {"failed": "it failed", "crashed": "its process died"}.get(state)
        where = f"What ended it: jepa autopsy {typed}" if ended else f"Where it stands: jepa monitor {typed} --once"
        raise RunDirectoryError(
            f"{reader.name} has no verdict: {ended or f'it is {state}'.replace('_', ' ')}.\n{where}"
        )
    child = successor_of(reader.path)
    command = _next(reader.path, child) or _repointed(found.next, found.run, reader.path)
    found = attrs.evolve(found, next=with_plugin_flags(command, reader.path))
    if json:
        print_json(verdict_to_json(found))
    else:
        console_for().print(verdict_table(found), crop=False)
        if child is not None:
            print(f"\nIt was rolled back since: {visible(child.name)} goes on in its place.")


def _next(run: Path, child: Path | None) -> str:
    """What to type instead of what was recorded; empty where that holds still."""
    if child is not None:
        return following(child)
    if is_locked(run):
        return f"jepa monitor {typed_name(run)} --once  # it is training on"
    return ""


def _repointed(command: str, name: str, run: Path) -> str:
    """The recorded command, with where the run is now: it may have been moved, or be looked at from another folder."""
    typed, why = without_comment(command)
    words = shlex.split(typed)
    recipe = f"/{RECIPE}"
    for index, word in enumerate(words):
        if Path(word.removesuffix(recipe)).name == name:
            here = str(run) if word.endswith(recipe) else shlex.split(typed_name(run))[0]
            words[index] = f"{here}{recipe}" if word.endswith(recipe) else here
    return with_comment(shlex.join(words), why)
