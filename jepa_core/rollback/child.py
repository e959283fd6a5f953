"""A child run directory from a healthy checkpoint of its parent, with a change to its recipe.

The child is complete, on the disk too, before anybody sees it, and only then the parent is marked. Training it is a
session's business. What a killed process leaves is cleared up by the next rollback there; a parent that was not marked
any more is known by its child.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import orjson

from jepa_core.errors import CheckpointError, RunDirectoryError
from jepa_core.plain_files import open_plain, read_plain
from jepa_core.rollback.lineage import Lineage, read_lineage, write_lineage
from jepa_core.rollback.planning import Rollback
from jepa_core.rollback.requests import answer_late
from jepa_core.rollback.successor import mark_rolled_back, refuse_rolled_back
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.environment import describe_environment
from jepa_core.run_directory.events import event_from_json, is_shallow
from jepa_core.run_directory.layout import CHECKPOINTS, CONTROL, DIAGNOSTICS, ENVIRONMENT, EVENTS, RECIPE
from jepa_core.run_directory.line_appender import LineAppender
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.naming import beside, placed, prepared_run
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import recorded_plugins
from jepa_core.run_directory.replacing import replace_file, sync
from jepa_core.run_directory.status import Status, write_status
from jepa_core.run_directory.stored_checkpoints import FILES, MANIFEST, Checkpoint, checkpoint_name
from jepa_core.run_directory.writing import RunWriter

_HANDED_DOWN = ("must", "nice", "abort", "rollback", "scenario", "early", "audit")
"""First words of the events that tell what rows set off, and what the audit found."""
_MOST_STATE = 64 << 20
"""Bytes of a checkpoint's state.json that are read for its progress."""


@attrs.frozen(kw_only=True)
class Child:
    """A run directory that is ready to be trained."""

    path: Path
    step: int
    """Of the checkpoint it goes on from; 0 when it begins anew."""


def make_child(rollback: Rollback, *, writer: RunWriter | None = None, clock: Clock = SYSTEM_CLOCK) -> Child:
    """Make the child that a rollback asks for, beside its parent, and mark the parent as rolled back.

    Args:
        rollback: see `plan_rollback`.
        writer: the parent's, where this process trains it; else its lock is taken.
        clock: where the child's name and start come from.

    Raises:
        CheckpointError: the copy of the checkpoint does not verify.
        RunDirectoryError: another process trains the parent, a disk refuses, or the parent has a child already. Nothing
            half-made remains.
    """
    parent, plan = rollback.parent, rollback.plan
    with contextlib.nullcontext() if writer else RunLock(parent):
        if writer is None:
            refuse_rolled_back(parent, is_ours=True)
        path = _made(rollback, clock)
        message = f"Rolled back: {plan.describe()}. {path.name} goes on in its place."
        evidence = {
            "child": path.name,
            "scenario": plan.scenario,
            "to": plan.checkpoint_step or 0,
            "first_sign": plan.first_sign,
            "changes": list(plan.changes_in_words),
        }
        if writer is not None:
            writer.status.update(state="rolled_back", child=path.name)
            writer.event("rolled back", "warning", message, step=plan.fired_step, evidence=evidence)
        else:
            try:
                mark_rolled_back(parent, path, message, plan.fired_step, evidence)
            except RunDirectoryError:
                # A parent that does not say so could be resumed beside its child.
                shutil.rmtree(path, ignore_errors=True)
                raise
            # Who asked meanwhile took this process for one that trains.
            answer_late(parent, path.name)
    return Child(path=path, step=plan.checkpoint_step or 0)


def _made(rollback: Rollback, clock: Clock) -> Path:
    parent, checkpoint = rollback.parent, rollback.checkpoint
    runs_dir = beside(parent)
    try:
        with prepared_run(runs_dir, rollback.recipe.recipe.name, clock) as prepared:
            (prepared.path / CONTROL).mkdir()
            (prepared.path / CHECKPOINTS).mkdir()
            progress: Mapping[str, Any] = {}
            if checkpoint:
                # A child of which parts start anew has another model: it could not load the best so far.
                progress = _hand_down_checkpoints(checkpoint, prepared.path / CHECKPOINTS, with_best=not rollback.anew)
                _hand_down_rows(parent, prepared.path, checkpoint.step)
            _describe(rollback, prepared.path, progress, clock)
            _sync_all(prepared.path)
            return prepared.take_its_place()
    except OSError as error:
        raise RunDirectoryError(f"No child of {parent} can be made in {runs_dir}: {error}.") from error


def _hand_down_checkpoints(checkpoint: Checkpoint, folder: Path, *, with_best: bool) -> Mapping[str, Any]:
    """Copy the checkpoint, and `with_best` the best so far where it is kept; the progress that the first one notes.

    Raises:
        CheckpointError: what it notes is none, or a copy does not verify.
    """
    copy = _copied(checkpoint, folder)
    try:
        progress: Mapping[str, Any] = orjson.loads(read_plain(copy.path / FILES[1], _MOST_STATE))["progress"]
        best = (progress.get("best") or {}).get("step") or 0
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{checkpoint.path} notes no progress in {FILES[1]}: {error}.") from error
    if with_best and isinstance(best, int) and 0 < best < checkpoint.step:
        kept = Checkpoint(checkpoint.path.with_name(checkpoint_name(best)), best)
        if kept.verify() is None:
            _copied(kept, folder)
    return progress


def _copied(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    copy = Checkpoint(folder / checkpoint_name(checkpoint.step), checkpoint.step)
    copy.path.mkdir()
    for name in (*FILES, MANIFEST):
        _copy_plain(checkpoint.path / name, copy.path / name)
    fault = copy.verify()
    if fault is not None:
        raise CheckpointError(f"The copy of {checkpoint.path} does not verify: {fault}. Nothing was changed.")
    return copy


def _copy_plain(source: Path, target: Path) -> None:
    """A copy of what is a plain file and no link: nothing from outside a run comes into its child."""
    with open_plain(source, follow_links=False) as original, target.open("xb") as copy:
        shutil.copyfileobj(original, copy, 1 << 20)


def _hand_down_rows(parent: Path, child: Path, step: int) -> None:
    """Rows, diagnostics and what they set off, up to the checkpoint: the child's past is its parent's."""
    for source in (*sorted(parent.glob("metrics*.jsonl")), parent / DIAGNOSTICS):
        if source.exists():
            _copy_plain(source, child / source.name)
            lines = LineAppender(child / source.name)
            lines.keep_until(step)
            lines.close()
    if (parent / EVENTS).exists():
        with (child / EVENTS).open("wb") as events:
            events.writelines(_events_handed_down(parent, step))


def _events_handed_down(parent: Path, step: int) -> Iterator[bytes]:
    with open_plain(parent / EVENTS, follow_links=False) as lines:
        for line in lines:
            try:
                event = event_from_json(orjson.loads(line))
            except (ValueError, AttributeError):
                continue
            if event.name.partition(" ")[0] in _HANDED_DOWN and event.step is not None and event.step <= step:
                yield line


def _describe(rollback: Rollback, child: Path, progress: Mapping[str, Any], clock: Clock) -> None:
    """Everything that says what the child is; what makes it a run for readers comes last. It is synced as a whole."""
    parent, loaded = rollback.parent, rollback.recipe
    write_lineage(child, _lineage(rollback))
    recorded = RunReader(parent).environment()
    environment = {
        **(recorded if is_shallow(recorded) else {}),
        **describe_environment(sys.argv),
        **recorded_plugins(loaded.plugin_files, loaded.kept_out),
        "overrides": list(loaded.overrides),
    }
    replace_file(child / ENVIRONMENT, orjson.dumps(environment, option=orjson.OPT_INDENT_2), durable=False)
    epoch = progress.get("epoch")
    write_status(
        child,
        Status(
            state="interrupted",
            pid=os.getpid(),
            host=socket.gethostname(),
            recipe=loaded.recipe.name,
            step=rollback.plan.checkpoint_step or 0,
            epoch=float(epoch) if isinstance(epoch, int | float) else 0.0,
            total_epochs=loaded.recipe.train.epochs,
            started=clock.now(),
            parent=placed(parent).name,
        ),
        durable=False,
    )
    replace_file(child / RECIPE, loaded.resolved().encode(), durable=False)


def _lineage(rollback: Rollback) -> Lineage:
    plan, before = rollback.plan, read_lineage(rollback.parent)
    return Lineage(
        parent=placed(rollback.parent).name,
        step=plan.checkpoint_step or 0,
        scenario=plan.scenario,
        title=plan.title,
        message=plan.message,
        fired_step=plan.fired_step,
        first_sign=plan.first_sign,
        evidence=plan.evidence,
        changes=plan.changes_in_words,
        notes=rollback.left_out,
        generation=1 if before is None else before.generation + 1,
        before=() if before is None else before.story,
    )


def _sync_all(folder: Path) -> None:
    """Return once all files and folders below it are on the disk."""
    for root, _, names in os.walk(folder, topdown=False):
        for path in (*(Path(root, name) for name in names), Path(root)):
            sync(path)
