"""Names of run directories: NAME-YYYYMMDD-HHMMSS, made without collision and found again by their start."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import attrs

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock, local_time
from jepa_core.run_directory.layout import CHECKPOINTS, CONTROL, is_run
from jepa_core.run_directory.status import process_lives

RUNS_DIR = Path("runs")
"""Where runs lie unless said otherwise, below the working directory."""

LATEST = "latest"
"""Stands for the newest run where a run's name is asked for."""

_RECIPE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PREPARED = re.compile(r"\.(?P<name>.+)\.prepared-(?P<pid>\d{1,9})-[0-9a-f]{8}@(?P<host>.+)")
_STARTED = re.compile(r"-(\d{8}-\d{6})(?:-(\d+))?$")


def create_run(runs_dir: Path, recipe_name: str, clock: Clock = SYSTEM_CLOCK) -> Path:
    """Make a new run directory and return it. Two runs of one second get different names.

    Raises:
        RunDirectoryError: the name cannot be a folder's, or the directory cannot be written.
    """
    stem = _stem(recipe_name, clock)
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        path = _make_unused(runs_dir, stem)
        (path / CHECKPOINTS).mkdir()
        (path / CONTROL).mkdir()
    except OSError as error:
        raise RunDirectoryError(
            f"No run directory can be made in {runs_dir}: {error.strerror or error}.\n"
            "Choose another place with --runs-dir."
        ) from error
    return path


@attrs.frozen(kw_only=True)
class PreparedRun:
    """A run directory that nobody sees yet."""

    path: Path
    """Where it is prepared."""
    place: Path
    """Where it will lie: an empty folder, which keeps the name."""

    def take_its_place(self) -> Path:
        """Be seen, in one step; the run directory.

        Raises:
            OSError: the folder cannot be renamed.
        """
        self.path.rename(self.place)
        return self.place


@contextmanager
def prepared_run(runs_dir: Path, recipe_name: str, clock: Clock = SYSTEM_CLOCK) -> Iterator[PreparedRun]:
    """A run directory that is made whole before anybody sees it.

    What has not taken its place at the end is removed; so is what killed processes of this host were preparing.

    Raises:
        RunDirectoryError: the name cannot be a folder's.
        OSError: the directory cannot be written.
    """
    _sweep(runs_dir)
    stem = _stem(recipe_name, clock)
    for name in _numbered(stem):
        # First what will be swept, then the place: a process that is killed leaves no name that is taken for ever.
        maker = f"{os.getpid()}-{secrets.token_hex(4)}@{socket.gethostname()}"
        path, place = runs_dir / f".{name}.prepared-{maker}", runs_dir / name
        path.mkdir()
        try:
            place.mkdir()
        except FileExistsError:
            path.rmdir()
            continue
        break
    try:
        yield PreparedRun(path=path, place=place)
    finally:
        if path.exists():
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):
                place.rmdir()


def _sweep(runs_dir: Path) -> None:
    for path in runs_dir.glob(".*.prepared-*"):
        maker = _PREPARED.fullmatch(path.name)
        if maker and maker["host"] == socket.gethostname() and not process_lives(int(maker["pid"])):
            shutil.rmtree(path, ignore_errors=True)
            # Only an empty folder goes.
            with suppress(OSError):
                (runs_dir / maker["name"]).rmdir()


def _stem(recipe_name: str, clock: Clock) -> str:
    if _RECIPE_NAME.fullmatch(recipe_name) is None:
        raise RunDirectoryError(
            f"The recipe's name {recipe_name[:100]!r} cannot name a run directory.\n"
            "Use letters, digits, dots, dashes and underscores, at most 100, beginning with a letter or digit."
        )
    return f"{recipe_name}-{local_time(clock.now(), '%Y%m%d-%H%M%S')}"


def _numbered(stem: str) -> Iterator[str]:
    return (stem if number == 1 else f"{stem}-{number}" for number in count(1))


def _make_unused(runs_dir: Path, stem: str) -> Path:
    for name in _numbered(stem):
        path = runs_dir / name
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError("count() never ends")


def beside(run: Path) -> Path:
    """The folder that a run lies in."""
    return run.parent if run.name else run.resolve().parent


def runs_in(runs_dir: Path) -> list[Path]:
    """All run directories directly below `runs_dir`, oldest first; none when there is no such folder."""
    try:
        candidates = [path for path in runs_dir.iterdir() if not path.name.startswith(".") and is_run(path)]
    except OSError:
        return []
    return sorted(candidates, key=_age_key)


def _age_key(path: Path) -> tuple[str, int, str]:
    """By the time in the name; a run that was renamed counts from when it was last changed."""
    started = _STARTED.search(path.name)
    if started is not None:
        return started[1], int(started[2] or 1), path.name
    try:
        changed = path.stat().st_mtime
    except OSError:
        changed = 0.0
    return local_time(changed, "%Y%m%d-%H%M%S"), 1, path.name


def find_run(text: str, runs_dir: Path = RUNS_DIR) -> Path:
    """The run meant by `text`: a run directory, the start of one run's name below `runs_dir`, or `latest`.

    Raises:
        RunDirectoryError: no run is meant, or more than one.
    """
    if text and "\0" not in text and is_run(Path(text)):
        return Path(text)
    runs = runs_in(runs_dir)
    if text == LATEST and runs:
        return runs[-1]
    meant = [run for run in runs if run.name == text] or [run for run in runs if text and run.name.startswith(text)]
    if len(meant) == 1:
        return meant[0]
    raise RunDirectoryError(_not_found(text, runs_dir, runs) if not meant else _ambiguous(text, meant))


def typed_name(run: Path) -> str:
    """What to type for a run where a command asks for one: its name, or its path outside `runs/`.

    The whole name, since what is printed is typed later, when other runs may begin as this one does.
    """
    return run.name if run.parent == RUNS_DIR else str(run)


def _not_found(text: str, runs_dir: Path, runs: Sequence[Path]) -> str:
    if text and "\0" not in text and runs_in(Path(text)):
        return f"{text[:100]} is a folder of runs, not a run. Look there with --runs-dir {text[:100]}."
    if not runs:
        return f"No run {text[:100]!r}: there are no runs in {runs_dir}/. Give a run directory, or --runs-dir."
    return f"No run directory is called {text[:100]!r}, and no run in {runs_dir}/ starts so.\n{_newest(runs)}"


def _ambiguous(text: str, meant: Sequence[Path]) -> str:
    remedy = f"give more of the name, or {LATEST}, which is the newest run of all"
    return f"{len(meant)} runs start with {text!r}: {remedy}.\n{_newest(meant)}"


def _newest(runs: Sequence[Path]) -> str:
    shown = [f"  {run.name}" for run in runs[:-9:-1]]
    return "\n".join(["Newest first:", *shown, *(["  …"] if len(runs) > len(shown) else [])])
