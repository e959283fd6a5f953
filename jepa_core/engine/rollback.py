"""Taking a run back: a child run directory from a healthy checkpoint of its parent, with a change to its recipe.

The child is complete before anybody sees it, and only then the parent is marked. Training it is a session's business.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import orjson

from jepa_core.engine.changed_recipe import ChangedRecipe, changed_recipe
from jepa_core.errors import CheckpointError, RunDirectoryError
from jepa_core.plain_files import open_plain
from jepa_core.recipes.difference import Change
from jepa_core.registry import Registry
from jepa_core.run_directory.clock import SYSTEM_CLOCK
from jepa_core.run_directory.environment import describe_environment
from jepa_core.run_directory.events import EventsWriter, event_from_json
from jepa_core.run_directory.layout import CHECKPOINTS, CONTROL, DIAGNOSTICS, ENVIRONMENT, EVENTS, RECIPE
from jepa_core.run_directory.line_appender import LineAppender
from jepa_core.run_directory.lineage import Lineage, read_lineage, write_lineage
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.naming import adopt_run, runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.replacing import replace_file
from jepa_core.run_directory.resumable import refuse_rolled_back
from jepa_core.run_directory.rollback_changes import change_in_words
from jepa_core.run_directory.rollback_plan import RollbackPlan
from jepa_core.run_directory.status import Status, read_status, shown_state, write_status
from jepa_core.run_directory.stored_checkpoints import FILES, Checkpoint, checkpoint_name
from jepa_core.run_directory.writing import RunWriter

_HANDED_DOWN = ("must", "nice", "abort", "rollback", "scenario", "early", "audit")
"""First words of the events that tell what rows set off, and what the audit found."""
_PREPARED = re.compile(r"\.rollback-(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{8}")
"""Names of children that are not whole yet."""


@attrs.frozen(kw_only=True)
class Child:
    """A run directory that is ready to be trained."""

    path: Path
    step: int
    """Of the checkpoint it goes on from; 0 when it begins anew."""
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    """What of the parent's rules and flags it could not keep."""


def make_child(
    plan: RollbackPlan,
    parent: Path,
    registry: Registry,
    runs_dir: Path,
    *,
    writer: RunWriter | None = None,
    changed: ChangedRecipe | None = None,
) -> Child:
    """Make the child that a plan asks for, and mark its parent as rolled back.

    Args:
        plan: see `plan_rollback`.
        parent: the run directory to take back.
        registry: the installed components.
        runs_dir: where the child is made.
        writer: the parent's, where this process trains it; else its lock is taken.
        changed: the child's recipe, where it was checked before.

    Raises:
        RecipeFaultsError: the change makes no recipe.
        CheckpointError: the copy of the checkpoint does not verify.
        RunDirectoryError: another process trains the parent, a disk refuses, or the parent has a child already. Nothing
            half-made remains.
    """
    changed = changed or changed_recipe(plan, parent, registry)
    with contextlib.nullcontext() if writer else RunLock(parent):
        _sweep(runs_dir)
        if writer is None:
            _mark_late(parent, runs_dir)
        child = _made(plan, parent, runs_dir, changed)
        _mark(parent, plan, child, writer)
    return child


def describe_rollback(plan: RollbackPlan, step: int, changes: tuple[Change, ...]) -> str:
    """In words, such as "B, loss near zero, first seen at step 40: from step 30 with losses.x.weight 0.02 → 0.025"."""
    cause = ", ".join(dict.fromkeys(part for part in (plan.scenario, plan.title) if part)) or "by hand"
    seen = f", first seen at step {plan.first_sign:.0f}" if plan.first_sign is not None else ""
    start = f"from step {step}" if step else "from the start"
    return f"{cause}{seen}: {start} with {', '.join(map(change_in_words, changes)) or 'the same recipe'}"


def _sweep(runs_dir: Path) -> None:
    """Remove what processes of this host were preparing when they were killed."""
    for path in runs_dir.glob(".rollback-*"):
        name = _PREPARED.fullmatch(path.name)
        if name and shown_state(Status(state="running", host=name["host"], pid=int(name["pid"]))) == "crashed":
            shutil.rmtree(path, ignore_errors=True)


def _mark_late(parent: Path, runs_dir: Path) -> None:
    """Mark a parent whose child's maker was killed before it could.

    Raises:
        RunDirectoryError: it was so; the child goes on in the parent's place.
    """
    for child in runs_in(runs_dir):
        lineage = read_lineage(child)
        if lineage is not None and lineage.parent_path == str(parent.resolve()):
            message = f"Rolled back {lineage.story[-1].describe()}. {child.name} goes on in its place."
            _write_mark(parent, child, message, lineage.fired_step, {"child": child.name, "to": lineage.step})
            refuse_rolled_back(parent)


def _made(plan: RollbackPlan, parent: Path, runs_dir: Path, changed: ChangedRecipe) -> Child:
    prepared = runs_dir / f".rollback-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    step = plan.checkpoint.step if plan.checkpoint else 0
    try:
        prepared.mkdir()
        (prepared / CONTROL).mkdir()
        (prepared / CHECKPOINTS).mkdir()
        progress = _hand_down_checkpoints(plan.checkpoint, prepared / CHECKPOINTS)
        if step:
            _hand_down_rows(parent, prepared, step)
        _describe(plan, parent, prepared, changed, progress)
        path = adopt_run(prepared, runs_dir, changed.loaded.recipe.name)
    except OSError as error:
        raise RunDirectoryError(f"No child of {parent} can be made in {runs_dir}: {error}.") from error
    finally:
        shutil.rmtree(prepared, ignore_errors=True)
    return Child(path=path, step=step, changes=changed.changes, notes=changed.notes)


def _hand_down_checkpoints(checkpoint: Checkpoint | None, folder: Path) -> Mapping[str, Any]:
    """Copy the checkpoint, and the best so far where it is kept; the progress that the first one notes."""
    if checkpoint is None:
        return {}
    _copy(checkpoint, folder)
    progress: Mapping[str, Any] = json.loads((checkpoint.path / FILES[1]).read_bytes())["progress"]
    best_step = progress.get("best", {}).get("step")
    best = Checkpoint(checkpoint.path.with_name(checkpoint_name(int(best_step or 0))), int(best_step or 0))
    if best_step and best.step < checkpoint.step and best.path.is_dir() and best.verify() is None:
        _copy(best, folder)
    return progress


def _copy(checkpoint: Checkpoint, folder: Path) -> None:
    copy = Checkpoint(folder / checkpoint_name(checkpoint.step), checkpoint.step)
    shutil.copytree(checkpoint.path, copy.path)
    for path in (*copy.path.iterdir(), copy.path):
        _sync(path)
    fault = copy.verify()
    if fault is not None:
        raise CheckpointError(f"The copy of {checkpoint.path} does not verify: {fault}. Nothing was changed.")


def _hand_down_rows(parent: Path, child: Path, step: int) -> None:
    """Rows, diagnostics and what they set off, up to the checkpoint: the child's past is its parent's."""
    for source in (*sorted(parent.glob("metrics*.jsonl")), parent / DIAGNOSTICS):
        if source.is_file():
            shutil.copyfile(source, child / source.name)
            lines = LineAppender(child / source.name)
            lines.keep_until(step)
            lines.close()
    with (child / EVENTS).open("wb") as events:
        events.writelines(_events_handed_down(parent, step))


def _events_handed_down(parent: Path, step: int) -> Iterator[bytes]:
    with open_plain(parent / EVENTS) as lines:
        for line in lines:
            try:
                event = event_from_json(orjson.loads(line))
            except (ValueError, AttributeError):
                continue
            if event.name.partition(" ")[0] in _HANDED_DOWN and event.step is not None and event.step <= step:
                yield line


def _describe(
    plan: RollbackPlan, parent: Path, child: Path, changed: ChangedRecipe, progress: Mapping[str, Any]
) -> None:
    """Everything that says what the child is; what makes it a run for readers comes last."""
    write_lineage(child, _lineage(plan, parent, changed))
    environment = {
        **RunReader(parent).environment(),
        **describe_environment(sys.argv),
        "overrides": list(changed.loaded.overrides),
    }
    replace_file(child / ENVIRONMENT, orjson.dumps(environment, option=orjson.OPT_INDENT_2))
    recipe = changed.loaded.recipe
    write_status(
        child,
        Status(
            state="interrupted",
            recipe=recipe.name,
            step=int(progress.get("step", 0)),
            epoch=float(progress.get("epoch", 0.0)),
            total_epochs=recipe.train.epochs,
            started=SYSTEM_CLOCK.now(),
            parent=parent.resolve().name,
        ),
    )
    replace_file(child / RECIPE, changed.loaded.resolved().encode())


def _lineage(plan: RollbackPlan, parent: Path, changed: ChangedRecipe) -> Lineage:
    before = read_lineage(parent)
    return Lineage(
        parent=parent.resolve().name,
        parent_path=str(parent.resolve()),
        step=plan.checkpoint.step if plan.checkpoint else 0,
        scenario=plan.scenario,
        title=plan.title,
        message=plan.message,
        fired_step=plan.fired_step,
        first_sign=plan.first_sign,
        evidence=plan.evidence,
        changes=tuple(map(change_in_words, changed.changes)),
        notes=changed.notes,
        generation=1 if before is None else before.generation + 1,
        before=() if before is None else before.story,
    )


def _mark(parent: Path, plan: RollbackPlan, child: Child, writer: RunWriter | None) -> None:
    """Say in the parent's events and status that it goes on elsewhere."""
    told = describe_rollback(plan, child.step, child.changes)
    message = f"Rolled back: {told}. {child.path.name} goes on in its place."
    evidence = {
        "child": child.path.name,
        "scenario": plan.scenario,
        "to": child.step,
        "first_sign": plan.first_sign,
        "changes": list(map(change_in_words, child.changes)),
    }
    if writer is not None:
        writer.event("rolled back", "warning", message, step=plan.fired_step, evidence=evidence)
        writer.status.update(state="rolled_back", child=child.path.name)
        return
    try:
        _write_mark(parent, child.path, message, plan.fired_step, evidence)
    except RunDirectoryError:
        # A parent that does not say so could be resumed beside its child.
        shutil.rmtree(child.path, ignore_errors=True)
        raise


def _write_mark(parent: Path, child: Path, message: str, step: float | None, evidence: Mapping[str, Any]) -> None:
    write_status(parent, attrs.evolve(read_status(parent) or Status(), state="rolled_back", child=child.name))
    events = EventsWriter(parent)
    events.write("rolled back", message, severity="warning", step=step, evidence=evidence)
    events.close()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
