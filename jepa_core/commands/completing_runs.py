"""What only the run directories know, for the command line's completion: names, times, tags, checkpoints, firings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jepa_core.errors import JepaError
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.naming import LATEST, find_run, runs_in, runs_meant
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_metrics
from jepa_core.run_directory.tags import recorded_tags

_MOST = 200
"""Runs that are looked into, the newest first."""


def runs_called(typed: str, folder: Path) -> list[tuple[str, str]]:
    """Names of runs, the newest first; where none begins as what is typed, what stands after a dash of theirs and does,
    such as their time."""
    runs = runs_in(folder)
    names = [run.name for run in reversed(runs)]
    if typed and typed != LATEST[: len(typed)] and not any(name.startswith(typed) for name in names):
        meant = {run.name for run in runs_meant(typed, runs)}
        return [(name[name.index(f"-{typed}") + 1 :], name) for name in names if name in meant]
    return [*([(LATEST, names[0])] if names else []), *((name, "") for name in names)]


def tags_of_runs(folder: Path) -> list[tuple[str, str]]:
    """Each tag, that of the newest run first, and which run that is."""
    found: dict[str, str] = {}
    for run in list(reversed(runs_in(folder)))[:_MOST]:
        for tag in recorded_tags(RunReader(run).environment()):
            found.setdefault(tag, run.name)
    return list(found.items())


def checkpoints_of(run: str, folder: Path) -> list[tuple[str, str]]:
    """Steps of a run's checkpoints, the newest first."""
    from jepa_core.run_directory.stored_checkpoints import stored_checkpoints

    found = [each for path in _found(run, folder) for each in stored_checkpoints(path / CHECKPOINTS)]
    return [(str(checkpoint.step), "") for checkpoint in reversed(found)]


def fired_in(run: str, folder: Path) -> list[tuple[str, str]]:
    """Ids of the rules that fired in a run, the last first, and what their events say."""
    from jepa_core.rollback.cause import firings

    with suppress(JepaError):
        found = [firing for path in _found(run, folder) for firing in firings(RunReader(path))]
        return list({name: event.message for name, event in reversed(found)}.items())
    return []


def metrics_of(run: str, folder: Path) -> list[tuple[str, str]]:
    """The metrics that a run can be judged by, and what each is; those of every run where there is none."""
    recipes = [RunReader(path).recipe() for path in _found(run, folder)]
    declared = recorded_metrics(recipes[0] if recipes else {})
    return [(metric.name, metric.doc) for metric in declared if metric.better != "neither" and "*" not in metric.name]


def _found(run: str, folder: Path) -> Iterator[Path]:
    """The run that is meant, if there is one."""
    try:
        yield find_run(run, folder)
    except (JepaError, OSError):
        return
