"""Which run goes on in the place of which: a child says so in its rollback.json, and its parent in its status."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import attrs
import cattrs
import orjson

from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import read_plain
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.events import EventsWriter
from jepa_core.run_directory.layout import ROLLBACK
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.naming import beside, placed, run_beside, runs_in, typed_name
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.replacing import replace_file
from jepa_core.run_directory.settled import settled
from jepa_core.run_directory.status import Status, read_status, write_status
from jepa_core.watch.rollback_story import PastRollback

MAX_BYTES = 4 << 20
"""Most that is read of the file."""
_MOST = 1 << 53
"""More steps or rollbacks no run has: the file was not written by this program."""


@attrs.frozen(kw_only=True)
class Lineage:
    """What rollback.json says."""

    parent: str
    """Name of the run that was taken back, which lies beside this one."""
    step: int = 0
    """Of the checkpoint that was handed down; 0 when training began anew."""
    scenario: str = ""
    title: str = ""
    message: str = ""
    """What fired, in words."""
    fired_step: float | None = None
    first_sign: float | None = None
    evidence: Mapping[str, Any] = attrs.field(factory=dict)
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What of the parent's rules and flags could not be kept."""
    generation: int = 1
    """Rollbacks on the way here, this one included."""
    before: tuple[PastRollback, ...] = ()
    """The parent's own story, oldest first."""

    @property
    def story(self) -> tuple[PastRollback, ...]:
        """Every rollback on the way here, oldest first."""
        last = PastRollback(
            parent=self.parent,
            scenario=self.scenario,
            title=self.title,
            from_step=self.fired_step,
            to_step=self.step,
            changes=self.changes,
        )
        return (*self.before, last)


def write_lineage(run: Path, lineage: Lineage) -> None:
    """Of a run that is being made, and is synced as a whole.

    Raises:
        OSError: the file cannot be written.
        RunDirectoryError: it would be larger than what is read of it.
    """
    content = orjson.dumps(encode(attrs.asdict(lineage)), option=orjson.OPT_INDENT_2)
    if len(content) > MAX_BYTES:
        raise RunDirectoryError(
            f"What {lineage.parent} was rolled back for takes {len(content):,} bytes in {ROLLBACK}, more than the "
            f"{MAX_BYTES:,} that are read of it. Start a new run from its recipe instead."
        )
    replace_file(run / ROLLBACK, content, durable=False)


def read_lineage(run: Path) -> Lineage | None:
    """Where a run comes from; None when no rollback made it, or when the file is damaged."""
    try:
        lineage = cattrs.structure(orjson.loads(read_plain(run / ROLLBACK, MAX_BYTES)), Lineage)
        return lineage if 0 < lineage.generation <= _MOST and 0 <= lineage.step <= _MOST else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, cattrs.BaseValidationError):
        return None


def parent_of(run: Path, lineage: Lineage) -> Path | None:
    """The parent's directory, beside its child; None when it is not there."""
    return run_beside(run, lineage.parent)


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
    found = _unmarked_child(run)
    if found is None:
        return
    child, lineage = found
    message = f"Rolled back {lineage.story[-1].describe()}. {child.name} goes on in its place."
    evidence = {"child": child.name, "to": lineage.step}
    if marks:
        # Where it cannot be marked, it is refused all the same.
        with suppress(RunDirectoryError), nullcontext() if is_ours else RunLock(run):
            mark_rolled_back(run, child, message, lineage.fired_step, evidence)
    raise _goes_on_in(run, child)


def refuse_marked(run: Path) -> None:
    """The same of a run that is marked, without a look at all runs beside it.

    Raises:
        RunDirectoryError: the run was rolled back, and goes on elsewhere.
    """
    child = successor_of(run)
    if child is not None:
        raise _goes_on_in(run, child)


def _goes_on_in(run: Path, child: Path) -> RunDirectoryError:
    typed, flags = typed_name(child), plugin_flags(child)
    onward = f"To resume that: jepa run --resume {typed}{flags}. " if settled(child) is None else ""
    return RunDirectoryError(
        f"{run.name} was rolled back and stays as it is; {child.name} goes on in its place.\n"
        f"{onward}To go back from there: jepa rollback {typed} --to STEP{flags}\n"
        f"To go on with {run.name} after all delete {child}, or move it away."
    )


def successor_of(run: Path) -> Path | None:
    """The run that goes on in the place of one that was rolled back, by its status; None where there is none, and where
    it was deleted or taken away, which leaves its parent to go on."""
    status = read_status(run)
    if status is None or status.state != "rolled_back":
        return None
    return run_beside(run, status.child)


def mark_rolled_back(run: Path, child: Path, message: str, step: float | None, evidence: Mapping[str, Any]) -> None:
    """Say in a run's status and events that another goes on in its place; the caller holds its lock.

    Raises:
        RunDirectoryError: its status cannot be written.
    """
    write_status(run, attrs.evolve(read_status(run) or Status(), state="rolled_back", child=child.name))
    events = EventsWriter(run)
    events.write("rolled back", message, severity="warning", step=step, evidence=evidence)
    events.close()


def _unmarked_child(run: Path) -> tuple[Path, Lineage] | None:
    """The run beside it that says that it goes on in its place, with what it says; the newest of several."""
    for child in reversed(runs_in(beside(run))):
        lineage = read_lineage(child)
        if lineage is not None and lineage.parent == placed(run).name != child.name:
            return child, lineage
    return None
