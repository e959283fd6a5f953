"""Rollbacks of the demo: what the user asks for in `control/`, and the child run that a plan leads to.

The plan is the one that the monitor shows; only the making of the child is the demo's own, as there is no model to
restore.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import orjson

from jepa_core.errors import JepaError, RecipeError
from jepa_core.run_directory.layout import CHECKPOINTS, CONTROL, DIAGNOSTICS, EVENTS, METRICS, RECIPE
from jepa_core.run_directory.line_appender import LineAppender
from jepa_core.run_directory.lineage import Lineage, read_lineage, write_lineage
from jepa_core.run_directory.naming import adopt_run
from jepa_core.run_directory.replacing import replace_file
from jepa_core.run_directory.requests import (
    PendingRequest,
    RequestAnswer,
    close_request,
    pending_requests,
)
from jepa_core.run_directory.rollback_changes import merged_changes
from jepa_core.run_directory.rollback_plan import RollbackPlan, plan_rollback
from jepa_core.run_directory.status import Status, write_status
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from jepa_monitor.demo.leg import Leg, Part
from jepa_monitor.demo.stage import RECIPE_NAME, Stage, resolved_recipe
from jepa_monitor.demo.story import Plot

_HANDED_DOWN = ("must", "nice", "abort", "rollback", "scenario")
"""First words of the events that tell what rows set off."""


@attrs.frozen(kw_only=True)
class Due:
    """A rollback to be made."""

    plan: RollbackPlan
    request: Path | None = None
    """The file that asked for it."""


def requested_rollback(run: Path) -> Due | None:
    """What the oldest request that can be met asks for; those that cannot are answered with why not."""
    for pending in pending_requests(run):
        try:
            return Due(plan=_plan_of(run, pending), request=pending.path)
        except JepaError as error:
            close_request(pending.path, RequestAnswer(accepted=False, message=str(error)))
    return None


def _plan_of(run: Path, pending: PendingRequest) -> RollbackPlan:
    request = pending.request
    if request is None:
        raise RecipeError(pending.refusal)
    plan = plan_rollback(run, scenario=request.scenario, to=request.to, set=request.set, use=request.use)
    if plan.use:
        raise RecipeError(f"The demo has no other recipe than its own, so it cannot go on with {plan.use}.")
    return plan


def make_child(stage: Stage, parent: Leg, due: Due) -> Part:
    """A run directory with the parent's past up to the plan's step, and its recipe changed.

    It is whole before anybody sees it, and only then the parent is marked.
    """
    plan, origin = due.plan, parent.part.path
    step = plan.checkpoint_step or 0
    prepared = stage.folder / f".{origin.name}.child"
    prepared.mkdir()
    (prepared / CONTROL).mkdir()
    (prepared / CHECKPOINTS).mkdir()
    recipe = merged_changes(parent.part.recipe, plan.set)
    _hand_down(origin, prepared, plan.checkpoint)
    write_lineage(prepared, _lineage(origin, plan, step))
    now = stage.clock.now()
    write_status(prepared, Status(state="interrupted", recipe=RECIPE_NAME, step=step, started=now, parent=origin.name))
    replace_file(prepared / RECIPE, resolved_recipe(recipe).encode())
    child = Part(
        path=adopt_run(prepared, stage.folder, RECIPE_NAME, stage.clock),
        recipe=recipe,
        plot=Plot(mended_at=step),
        number=parent.part.number + 1,
        start=step,
        parent=origin.name,
        change=", ".join(plan.changes_in_words) or "the same recipe",
    )
    _mark(parent, due, child)
    return child


def _hand_down(origin: Path, child: Path, checkpoint: Checkpoint | None) -> None:
    """Rows, diagnostics and what they set off up to the checkpoint, and the checkpoint itself."""
    if checkpoint is None:
        return
    shutil.copytree(checkpoint.path, child / CHECKPOINTS / checkpoint.path.name)
    for name in (METRICS, DIAGNOSTICS):
        shutil.copyfile(origin / name, child / name)
        lines = LineAppender(child / name)
        lines.keep_until(checkpoint.step)
        lines.close()
    with (origin / EVENTS).open("rb") as told, (child / EVENTS).open("wb") as events:
        events.writelines(line for line in told if _is_handed_down(orjson.loads(line), checkpoint.step))


def _is_handed_down(event: Mapping[str, Any], step: int) -> bool:
    return event["step"] is not None and event["step"] <= step and event["name"].partition(" ")[0] in _HANDED_DOWN


def _lineage(origin: Path, plan: RollbackPlan, step: int) -> Lineage:
    """Where the child comes from, and why."""
    before = read_lineage(origin)
    return Lineage(
        parent=origin.name,
        parent_path=str(origin.resolve()),
        step=step,
        scenario=plan.scenario,
        title=plan.title,
        message=plan.message,
        fired_step=plan.fired_step,
        first_sign=plan.first_sign,
        evidence=plan.evidence,
        changes=plan.changes_in_words,
        generation=before.generation + 1 if before else 1,
        before=before.story if before else (),
    )


def _mark(parent: Leg, due: Due, child: Part) -> None:
    """Say in the parent what became of it, and to whoever asked."""
    plan, name = due.plan, child.path.name
    cause = ", ".join(part for part in (plan.scenario, plan.title) if part) or "by hand"
    message = f"Rolled back: {cause}: from step {child.start} with {child.change}. {name} goes on in its place."
    evidence = {"child": name, "scenario": plan.scenario, "to": child.start, "first_sign": plan.first_sign}
    parent.recorder.event("rolled back", "warning", message, step=parent.step, evidence=evidence)
    parent.recorder.writer.status.update(state="rolled_back", child=name)
    if due.request is not None:
        close_request(due.request, RequestAnswer(accepted=True, message=message, child=name))
