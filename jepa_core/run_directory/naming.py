"""Names of run directories: NAME-YYYYMMDD-HHMMSS, made without collision and found again by a part."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import count
from pathlib import Path

import attrs

from jepa_core.errors import RunDirectoryError
from jepa_core.home import at_home
from jepa_core.recipes.layout import RECIPE_NAME
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock, local_time
from jepa_core.run_directory.layout import CHECKPOINTS, CONTROL, ENVIRONMENT, STATUS, is_run
from jepa_core.run_directory.status import process_lives, read_status
from jepa_core.run_directory.watched_file import Signature, signature
from jepa_core.shell_words import typed_path

RUNS_DIR = Path("runs")
"""Where runs lie unless said otherwise, below the working directory."""

LATEST = "latest"
"""Stands for the newest run where a run's name is asked for."""

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
    if RECIPE_NAME.fullmatch(recipe_name) is None:
        raise RunDirectoryError(
            f"The recipe's name {recipe_name[:100]!r} cannot name a run directory.\n"
            "Use letters of a–z and A–Z, digits, dots, dashes and underscores, at most 100, beginning with a letter or "
            "digit."
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


def placed(run: Path) -> Path:
    """A run by the name that it has in the folder it lies in; one that is a link by the link's."""
    return run.resolve() if run.name in ("", "..") else run


def beside(run: Path) -> Path:
    """The folder that a run lies in."""
    return placed(run).parent


def run_beside(run: Path, name: str) -> Path | None:
    """The run of a name in the folder that `run` lies in; None where there is none, and where the name is a path: it is
    recorded in a run directory, which may be a stranger's, and must not lead to any folder of this machine."""
    there = beside(run) / name if name not in ("", "..") and "\0" not in name and Path(name).name == name else None
    return there if there is not None and is_run(there) else None


def runs_in(runs_dir: Path) -> list[Path]:
    """All run directories directly below `runs_dir`, in the order in which they started; none when there is no such
    folder."""
    try:
        candidates = [path for path in runs_dir.iterdir() if not path.name.startswith(".") and is_run(path)]
    except OSError:
        return []
    return sorted(candidates, key=lambda path: (started_at(path), _number(path), path.name))


def started_at(run: Path) -> float:
    """When a run started, in seconds since 1970: by its status, else by when its environment was written, else by when
    it was last changed; 0 where nothing says.

    The time in a run's name is local: of another zone, or of the hour that is passed twice a year.
    """
    return _started_at(run, signature(run / STATUS))


@lru_cache(maxsize=1 << 14)
def _started_at(run: Path, _status: Signature) -> float:
    status = read_status(run)
    if status is not None and 0 < status.started < float("inf"):
        return status.started
    for path in (run / ENVIRONMENT, run):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def _number(path: Path) -> int:
    """Which of the runs of one name and second it is."""
    started = _STARTED.search(path.name)
    return int(started[2] or 1) if started else 1


def find_run(text: str, runs_dir: Path = RUNS_DIR) -> Path:
    """The run meant by `text`: a run directory, a part of one run's name below `runs_dir`, or `latest`.

    A part is the start of a name, or what stands after one of its dashes or the start of that: runs of one recipe begin
    alike, and differ in their time.

    Raises:
        RunDirectoryError: no run is meant, or more than one.
        RecipeError: it begins with a ~user that there is not.
    """
    text = at_home(text)
    if text and "\0" not in text and is_run(Path(text)):
        return placed(Path(text))
    return run_named(text, runs_dir)


def run_named(text: str, runs_dir: Path, *, without: str = "") -> Path:
    """The same without paths: of a name that may be a stranger's word, and leads to no other folder. The run of the
    name `without` is not meant.

    Raises:
        RunDirectoryError: no run is meant, or more than one.
    """
    runs = [run for run in runs_in(runs_dir) if run.name != without]
    if text == LATEST and runs:
        return runs[-1]
    meant = runs_meant(text, runs)
    if len(meant) == 1:
        return meant[0]
    raise RunDirectoryError(_not_found(text, runs_dir, runs) if not meant else _ambiguous(text, meant))


def runs_meant(text: str, runs: Sequence[Path]) -> list[Path]:
    """The runs that `text` fits best, as of `find_run`; none where it is empty."""
    if not text:
        return []
    ways: tuple[Callable[[str], bool], ...] = (
        lambda name: name == text,
        lambda name: name.startswith(text),
        lambda name: any(end == text for end in _ends(name)),
        lambda name: any(end.startswith(text) for end in _ends(name)),
    )
    return next((meant for fits in ways if (meant := [run for run in runs if fits(run.name)])), [])


def _ends(name: str) -> list[str]:
    """What stands after each dash of a name."""
    return [name[dash.end() :] for dash in re.finditer("-", name)]


def short_name(run: str, others: Collection[str]) -> str:
    """The least to type for a run, by what tells it from the others that there are now: the time in its name, else all
    of it."""
    started = _STARTED.search(run)
    ends = [started[0][10:], started[0][1:]] if started else []
    paths = [Path(other) for other in {run, *others}]
    return next((end for end in ends if runs_meant(end, paths) == [Path(run)]), run)


def typed_name(run: Path) -> str:
    """What to type in a shell for a run where a command asks for one: its name, or its path outside `runs/`.

    The whole name, since what is printed is typed later, when other runs may begin as this one does. One that would be
    read as a flag or a home is given as a path.
    """
    typed = run.name if run.parent == RUNS_DIR and not run.name.startswith(("-", "~")) else str(run)
    return typed_path(typed)


def _not_found(text: str, runs_dir: Path, runs: Sequence[Path]) -> str:
    if text and "\0" not in text and runs_in(Path(text)):
        return f"{text[:100]} is a folder of runs, not a run. Look there with --runs-dir {text[:100]}."
    if not runs:
        return f"No run {text[:100]!r}: there are no runs in {_whole(runs_dir)}/. Give a run directory, or --runs-dir."
    lacking = f"and no run in {_whole(runs_dir)}/ starts so or has that time"
    return f"No run directory is called {text[:100]!r}, {lacking}.\n{_newest(runs)}"


def _whole(folder: Path) -> Path:
    """Where a folder is, or would be."""
    with suppress(OSError):  # the working folder is gone
        return folder.absolute()
    return folder


def _ambiguous(text: str, meant: Sequence[Path]) -> str:
    newest = meant[-1].name
    told_apart = short_name(newest, [run.name for run in meant])
    by_time = "" if told_apart == newest else f" or its time, such as {told_apart},"
    remedy = f"give more of the name,{by_time} or {LATEST}, which is the newest run of all"
    start = "start with" if any(run.name.startswith(text) for run in meant) else "have in their names"
    return f"{len(meant)} runs {start} {text!r}: {remedy}.\n{_newest(meant)}"


def _newest(runs: Sequence[Path]) -> str:
    shown = [f"  {run.name}" for run in runs[:-9:-1]]
    return "\n".join(["Newest first:", *shown, *(["  …"] if len(runs) > len(shown) else [])])
