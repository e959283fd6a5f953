"""The run that goes on in the place of one that was rolled back: its parent's status names it, and where the process
that made it was killed before it could write that, the child's own rollback.json."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import attrs

from jepa_core.errors import RunDirectoryError
from jepa_core.rollback.going_on import going_on, no_recipe
from jepa_core.rollback.lineage import read_lineage
from jepa_core.run_directory.children import child_beside
from jepa_core.run_directory.events import EventsWriter
from jepa_core.run_directory.lock import RunLock, is_locked
from jepa_core.run_directory.naming import placed, run_beside, typed_name
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.settled import is_scripted, settled
from jepa_core.run_directory.status import Status, read_status, write_status


def refuse_rolled_back(run: Path, *, is_ours: bool = False, marks: bool = True) -> None:
    """A run that another goes on in the place of is neither trained on nor rolled back once more.

    Args:
        run: the run directory.
        is_ours: this process holds its lock.
        marks: a run whose child's maker was killed before it could mark it is marked now.

    Raises:
        RunDirectoryError: the run was rolled back, and goes on elsewhere.
    """
    refuse_marked(run)
    child = child_beside(run)
    if child is None:
        return
    lineage = read_lineage(child)
    if marks and lineage is not None:
        message = f"Rolled back {lineage.story[-1].describe()}. {child.name} goes on in its place."
        evidence = {"child": child.name, "to": lineage.step}
        # Where it cannot be marked, it is refused all the same.
        with suppress(RunDirectoryError), nullcontext() if is_ours else RunLock(run):
            mark_rolled_back(run, child, message, lineage.fired_step, evidence)
    raise _goes_on_in(run, child)


def refuse_marked(run: Path) -> None:
    """The same of a run that is marked, without a look at all runs beside it.

    Raises:
        RunDirectoryError: the run was rolled back, and goes on elsewhere.
    """
    child = _marked_child(run)
    if child is not None:
        raise _goes_on_in(run, child)


def _goes_on_in(run: Path, child: Path) -> RunDirectoryError:
    """The refusal, with what can be typed on the run that is the last of those that went on."""
    last = _last(run, child)
    told = [f"{run.name} was rolled back and stays as it is; {last.name} goes on in its place.", *_onward(last)]
    return RunDirectoryError("\n".join([*told, f"To go on with {run.name} after all delete {child}, or move it away."]))


def _last(run: Path, child: Path) -> Path:
    """The run at the end, where the child was rolled back itself. Runs may name each other in a circle: they are
    strangers' words, too."""
    seen = {placed(run).name}
    while child.name not in seen and (following := successor_of(child)) is not None:
        seen.add(child.name)
        child = following
    return child


def _onward(run: Path) -> list[str]:
    """What to type on a run, in lines; none where nothing can be."""
    if is_scripted(run) or no_recipe(run):
        return []
    typed, flags = typed_name(run), plugin_flags(run)
    back = f"To go back in that one: jepa rollback {typed} --to STEP{flags}"
    if is_locked(run):
        return [f"It is training now: jepa monitor {typed}", back]
    return [*([going_on(run)] if settled(run) is None else []), back]


def successor_of(run: Path) -> Path | None:
    """The run that goes on in the place of one that was rolled back, by its status or by its child's word; None where
    there is none, and where it was deleted or taken away, which leaves its parent to go on."""
    return _marked_child(run) or child_beside(run)


def _marked_child(run: Path) -> Path | None:
    status = read_status(run)
    if status is None or status.state != "rolled_back":
        return None
    return run_beside(run, status.child) if status.child != placed(run).name else None


def following(child: Path) -> str:
    """What to type of a run that was rolled back, whatever its verdict has recorded."""
    return f"jepa autopsy {typed_name(child)}  # the run that goes on in its place"


def mark_rolled_back(run: Path, child: Path, message: str, step: float | None, evidence: Mapping[str, Any]) -> None:
    """Say in a run's status and events that another goes on in its place; the caller holds its lock.

    Raises:
        RunDirectoryError: its status cannot be written.
    """
    write_status(run, attrs.evolve(read_status(run) or Status(), state="rolled_back", child=child.name))
    events = EventsWriter(run)
    events.write("rolled back", message, severity="warning", step=step, evidence=evidence)
    events.close()
