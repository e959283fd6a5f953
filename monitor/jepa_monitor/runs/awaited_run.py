"""The run that is watched before it is there: the newest of a folder, one by a part of its name, or one that begins
after another."""

from __future__ import annotations

import shlex
from pathlib import Path

import attrs

from jepa_core.run_directory.layout import is_run
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, beside, placed, runs_in, runs_meant, started_at


@attrs.frozen(kw_only=True)
class AwaitedRun:
    """What was asked for on the command line, where nothing meets it yet."""

    name: str
    """A run directory, a part of a run's name below `folder`, or `latest`."""
    folder: Path
    """Where runs lie; it need not be there yet."""

    def look(self) -> Sighting:
        """What is there now. Reads the folder: not for the screen's thread."""
        runs = runs_in(self.folder)
        given = Path(self.name)
        if self.name == LATEST:
            meant = runs
        elif is_run(given):
            meant = [given]
        else:
            meant = runs_meant(self.name, runs)
        others = tuple(run.name for run in reversed(runs) if run not in meant)
        return Sighting(run=meant[-1] if meant else None, others=others, has_folder=self.folder.is_dir())


@attrs.frozen(kw_only=True)
class Sighting:
    """What was there at one look."""

    run: Path | None
    """The newest run that is meant; None while there is none."""
    others: tuple[str, ...]
    """Names of the other runs of the folder, newest first."""
    has_folder: bool


def runs_dir_flag(folder: Path) -> str:
    """What a command that makes a run takes so that the run lies in the folder, with a blank before it."""
    return "" if folder == RUNS_DIR else f" --runs-dir {shlex.quote(str(folder))}"


def newer_run(run: Path, began: float | None) -> Path | None:
    """The newest of the runs beside `run` that have begun after it; None where it is the newest itself. Reads the
    folder: not for the screen's thread.

    Args:
        began: when `run` did, in seconds since 1970, as it said while it was there; None where it did not say.
    """
    after = started_at(run) if began is None else began
    newest = next(reversed(runs_in(beside(run))), None)
    return None if newest is None or newest == placed(run) or started_at(newest) <= after else newest
