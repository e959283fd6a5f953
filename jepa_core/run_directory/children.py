"""Runs that rollbacks made of others: each names its parent in its rollback.json.

The parent's own status names its child, too; but whoever made it may have been killed before that was written. Readers
then tell of the parent what was about to be said.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
import orjson

from jepa_core.plain_files import read_plain
from jepa_core.run_directory.layout import ROLLBACK
from jepa_core.run_directory.naming import beside, placed, run_beside, runs_in
from jepa_core.run_directory.status import ALIVE, Status, read_status, shown_state

MAX_LINEAGE = 4 << 20
"""Most bytes that are read of a rollback.json."""


def child_beside(run: Path) -> Path | None:
    """The run beside it that says that it goes on in its place; the newest of several."""
    name, folder = placed(run).name, beside(run)
    child = _children(folder, _stamp(folder)).get(name)
    return run_beside(run, child) if child and child != name else None


def told_status(run: Path) -> Status | None:
    """A run's status as it is to be told: one that another goes on in the place of was rolled back, whether its status
    says so or not. None where it says nothing."""
    return with_child(run, read_status(run))


def with_child(run: Path, status: Status | None) -> Status | None:
    """The same of a status that was read."""
    if status is not None and (status.state == "rolled_back" or shown_state(status) in ALIVE):
        return status
    child = child_beside(run)
    return status if child is None else attrs.evolve(status or Status(), state="rolled_back", child=child.name)


def _stamp(folder: Path) -> tuple[int, ...]:
    """What changes whenever a run comes into a folder, or leaves it."""
    try:
        found = folder.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_nlink, found.st_ino


@lru_cache(maxsize=16)
def _children(folder: Path, _stamp: tuple[int, ...]) -> Mapping[str, str]:
    """Name of a run → that of the newest which goes on in its place."""
    made = [run for run in runs_in(folder) if os.path.lexists(run / ROLLBACK)]
    return {parent: run.name for run in made if (parent := _parent(run))}


def _parent(run: Path) -> str:
    try:
        recorded: Any = orjson.loads(read_plain(run / ROLLBACK, MAX_LINEAGE))
        parent = recorded["parent"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return parent if isinstance(parent, str) else ""
