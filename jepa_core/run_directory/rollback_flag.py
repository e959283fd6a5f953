"""How a rollback is typed, and what is said with a rule that fired and names a change."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_core.errors import JepaError
from jepa_core.run_directory.naming import RUNS_DIR
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.rollback_changes import change_in_words, flags_of, planned_changes, recorded_flags
from jepa_core.watch.findings import Firing


@attrs.frozen
class RollbackFlag:
    """What is said with a rule that fired and names a change."""

    changes: tuple[str, ...]
    """Each in a few words; empty when they cannot be told, or are in the recipe already."""
    command: str

    def describe(self) -> str:
        """In a line: what to type, and what it would change."""
        return f"{self.command}  ({', '.join(self.changes)})" if self.changes else self.command


def rollback_flag(run: Path, firing: Firing) -> RollbackFlag | None:
    """How to follow what a firing suggests; None when it suggests nothing."""
    if not firing.set and not firing.use:
        return None
    command = rollback_command(run, scenario=firing.name)
    try:
        reader = RunReader(run)
        flags = recorded_flags(reader.environment())
        changes = planned_changes(reader.recipe(), firing.set, firing.use, flags)
    except JepaError:
        return RollbackFlag((), command)
    if not changes and not firing.use:
        # The change is in the recipe already: another has to be given.
        command = f"{command} --set KEY=VALUE"
    return RollbackFlag(tuple(map(change_in_words, changes)), command)


def next_rollback(run: Path, scenario: str, firing: Firing | None, *, begins_anew: bool = False) -> str:
    """What to type after a run that was stopped, or that a rule would take back, with what it does behind it.

    Args:
        scenario: the id of what fired.
        firing: what fired, where that was a rule.
        begins_anew: whether there is no checkpoint from before it.
    """
    flag = rollback_flag(run, firing) if firing else None
    if flag is not None and flag.changes:
        return f"{flag.command}  # {', '.join(flag.changes)}"
    command = flag.command if flag else f"{rollback_command(run, scenario=scenario)} --set KEY=VALUE"
    where = (
        "begins anew: there is no checkpoint from before it"
        if begins_anew
        else "goes on from the last healthy checkpoint"
    )
    return f"{command}  # {where}"


def rollback_command(
    run: Path, *, scenario: str = "", to: int | None = None, changes: Mapping[str, Any] | None = None, use: str = ""
) -> str:
    """What to type for a rollback, now or later: a shortened name may come to mean other runs too."""
    words = ["jepa", "rollback", run.name if run.parent == RUNS_DIR else str(run)]
    words += ["--scenario", scenario] if scenario else []
    words += ["--to", str(to)] if to is not None else []
    words += ["--use", use] if use else []
    for flag in flags_of(changes or {}):
        words += ["--set", flag]
    return shlex.join(words)
