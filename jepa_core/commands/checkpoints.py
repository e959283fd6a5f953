"""`jepa checkpoints`: what a run has kept, whether it can be trusted, and room made by deleting old ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import attrs
from cyclopts import Parameter

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import RunsDir
from jepa_core.errors import RecipeError, RunDirectoryError
from jepa_core.json_text import print_json
from jepa_core.presentation.checkpoints_table import RunCheckpoints, checkpoints_table, pruned_line, remedy
from jepa_core.presentation.terminal import console_for, progress_on
from jepa_core.rollback.cause import find_cause
from jepa_core.rollback.going_on import no_recipe
from jepa_core.rollback.lineage import read_lineage
from jepa_core.rollback.successor import successor_of
from jepa_core.run_directory.kept_checkpoints import (
    FEWEST,
    KeptCheckpoint,
    delete,
    kept_checkpoints,
    num_bytes,
    superfluous,
)
from jepa_core.run_directory.lock import is_locked
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run, run_beside, typed_name
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.settled import settled

Action = Literal["list", "verify", "prune"]


def checkpoints(
    run: str = LATEST,
    action: Action = "list",
    /,
    *,
    keep: Annotated[int | None, Parameter(show_default=False)] = None,
    dry_run: Flag = False,
    runs_dir: RunsDir = RUNS_DIR,
    json: Flag = False,
) -> int:
    """List a run's checkpoints: which verify, and which is the newest, the best, or from before what fired.

    For example: jepa checkpoints latest prune --keep 3 --dry-run

    Every byte is read and compared with the manifest's SHA-256 sums. Nothing is changed but by prune, which deletes the
    oldest that verify. At least two stay whatever is asked for, and so do the best, the newest healthy one, those that
    do not verify, and what a run that goes on in this one's place may go back to.

    Exit codes: 0; 1 where verify finds one that does not, or prune cannot delete.

    Parameters
    ----------
    run
        A run directory, the start of a run's name or the time in it, or latest; the newest run when not given.
    action
        list; verify: the same, exit with 1 if any does not verify, and say what to do; prune: delete old ones.
    keep
        For prune: how many of the newest stay.
    dry_run
        For prune: only say what would be deleted.
    json
        Print JSON instead of a table.

    Raises
    ------
    RunDirectoryError
        There is no such run; or it is training, and would be pruned.
    RecipeError
        The flags do not go together.
    """
    if run in ("verify", "prune") and action == "list":
        run, action = LATEST, cast(Action, run)
    _check_flags(action, keep, dry_run=dry_run)
    path = find_run(run, runs_dir)
    if action == "prune" and is_locked(path):
        raise RunDirectoryError(
            f"{path} is training, and deletes old checkpoints itself (checkpoint.keep). Prune it once it has ended."
        )
    with progress_on(console_for(sys.stderr), "reading", "MB") as progress:
        shown = _read(path, lambda done, total: progress(round(done / 1e6), round(total / 1e6)))
    gone: tuple[KeptCheckpoint, ...] = ()
    if action == "prune":
        gone = superfluous(shown.checkpoints, keep or FEWEST, _handed_down(path, shown.child))
        if not dry_run:
            delete(path, gone)
    if json:
        told = _as_json(shown) | ({"deleted": [each.step for each in gone], "dry_run": dry_run} if keep else {})
        print_json(told)
    elif action == "prune":
        console_for().print(pruned_line(gone, dry_run=dry_run), soft_wrap=True)
        left = tuple(each for each in shown.checkpoints if each not in gone)
        console = console_for()
        console.print(checkpoints_table(attrs.evolve(shown, checkpoints=left), console.width), crop=False)
    else:
        console = console_for()
        console.print(checkpoints_table(shown, console.width), crop=False)
        if action == "verify" and shown.checkpoints:
            console.print(remedy(shown) or "Every byte of all of them is as it was written.")
    return int(action == "verify" and any(each.fault is not None for each in shown.checkpoints))


def _check_flags(action: Action, keep: int | None, *, dry_run: bool) -> None:
    """
    Raises:
        RecipeError: they do not go together.
    """
    if action != "prune":
        if keep is not None or dry_run:
            flag = "--dry-run" if keep is None else "--keep"
            raise RecipeError(f"{flag} is for prune: jepa checkpoints RUN prune --keep N")
        return
    if keep is None:
        raise RecipeError("--keep is missing: how many of the newest stay, as jepa checkpoints RUN prune --keep 3")
    if keep < FEWEST:
        raise RecipeError(
            f"--keep {keep} is too few: at least {FEWEST} stay, so that there is one to go back to should the newest "
            "go bad."
        )


def _read(path: Path, progress: Any) -> RunCheckpoints:
    reader, notes = RunReader(path), list[str]()
    total, done = num_bytes(path), 0

    def read(count: int) -> None:
        nonlocal done
        done += count
        progress(done, max(done, total))

    try:
        verdict = reader.verdict()
    except RunDirectoryError as error:
        verdict = None
        notes.append(str(error))
    best = None if verdict is None else verdict.best
    try:
        cause = find_cause(reader, reader.recipe(), "", required=False)
    except RunDirectoryError as error:
        cause = None
        notes.append(str(error))
    successor, lineage = successor_of(path), read_lineage(path)
    first_sign = None if cause is None else cause.first_sign
    return RunCheckpoints(
        run=reader.name,
        typed=f"{typed_name(path)}{plugin_flags(path)}",
        checkpoints=kept_checkpoints(
            path,
            first_sign=first_sign,
            best=None if best is None else best.step,
            inherited=-1 if lineage is None else lineage.step,
            read=read,
        ),
        first_sign=first_sign,
        fired="" if cause is None else cause.title,
        best="" if best is None else f"step {best.step:,}, {best.why}",
        child="" if successor is None else successor.name,
        settled=_why_not_resumed(path),
        notes=tuple(notes),
    )


def _why_not_resumed(path: Path) -> str:
    if is_locked(path):
        return "is training now"
    if (end := settled(path)) is not None:
        return end.why
    return "has no recipe.toml that can be read" if no_recipe(path) else ""


def _handed_down(path: Path, child: str) -> tuple[int, ...]:
    """The step that the run which goes on in this one's place began at; none where there is no such run."""
    lineage = read_lineage(there) if child and (there := run_beside(path, child)) else None
    return () if lineage is None else (lineage.step,)


def _as_json(shown: RunCheckpoints) -> dict[str, Any]:
    resumes = [each.step for each in shown.checkpoints if each.resumes]
    return {
        "run": shown.run,
        "checkpoints": [attrs.asdict(each) for each in shown.checkpoints],
        "resumes_from": None if shown.child or shown.settled or not resumes else resumes[0],
        "best": next((each.step for each in shown.checkpoints if each.best), None),
        "first_sign": shown.first_sign,
        "fired": shown.fired,
        "child": shown.child,
        "notes": list(shown.notes),
    }
