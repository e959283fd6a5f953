"""What a rollback of a run would do: because of what, to which checkpoint, with which change. Nothing is touched.

Read from the run directory alone, so that the monitor shows the same plan that the trainer would follow. "Healthy" is
a checkpoint before the first sign of what fired, not before the firing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_core.errors import CheckpointError, RecipeError
from jepa_core.recipes.difference import Change
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.lineage import parent_of, read_lineage
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.rollback_cause import Cause, find_cause
from jepa_core.run_directory.rollback_changes import (
    change_in_words,
    merged_changes,
    planned_changes,
    recorded_flags,
    refuse_other_data,
)
from jepa_core.run_directory.rollback_flag import rollback_command
from jepa_core.run_directory.stored_checkpoints import Checkpoint, newest_verified, stored_checkpoints
from jepa_core.visible_text import visible

_MOST_ANCESTORS = 50


@attrs.frozen(kw_only=True)
class RollbackPlan:
    """What would be done."""

    scenario: str = ""
    """Id of the rule that fired; empty for a rollback by hand."""
    title: str = ""
    """What happened, in words."""
    message: str = ""
    """What fired, with its figures."""
    advice: str = ""
    fired_step: int | None = None
    first_sign: float | None = None
    """The first step that what fired can be seen at."""
    checkpoint: Checkpoint | None = None
    """What training would go on from; None: from the start."""
    evidence: Mapping[str, Any] = attrs.field(factory=dict)
    evidence_rows: tuple[Mapping[str, Any], ...] = ()
    """The newest recorded values of what the rule looks at."""
    set: Mapping[str, Any] = attrs.field(factory=dict)
    """Recipe values to change, as nested tables."""
    use: str = ""
    """Another recipe to use, whole."""
    changes: tuple[Change, ...] = ()
    """How the recipe would differ, as far as recorded data tells."""
    command: str = ""
    """What to type for exactly this."""
    notes: tuple[str, ...] = ()
    """What else to know, such as checkpoints that cannot be used."""

    @property
    def checkpoint_step(self) -> int | None:
        """None: training would begin anew."""
        return None if self.checkpoint is None else self.checkpoint.step

    @property
    def changes_in_words(self) -> tuple[str, ...]:
        """Each change in a few words."""
        return tuple(map(change_in_words, self.changes))


def plan_rollback(
    run: Path,
    *,
    scenario: str = "",
    to: int | None = None,
    set: Mapping[str, Any] | None = None,  # noqa: A002  # as in a recipe's rule
    use: str = "",
) -> RollbackPlan:
    """The plan for a run.

    Args:
        run: the run directory.
        scenario: the id of a rollback, abort or scenario rule that has fired; when not given, the last rollback rule
            that has fired, else what stopped the run. With `to` and a change given it may be none at all.
        to: go back to the newest checkpoint up to this step; 0 begins anew. When not given, to the newest before the
            first sign of what fired.
        set: recipe values to change, on top of the rule's own.
        use: another recipe instead of the rule's own change.

    Raises:
        RunDirectoryError: there is no run directory.
        RecipeError: nothing has fired, no change is known, or the change cannot be one of a rollback.
        CheckpointError: no checkpoint up to `to` can be used.
    """
    if to is not None and to < 0:
        raise RecipeError(f"--to {to} is no step: 0 begins anew, more goes back to the newest checkpoint up to it.")
    reader = RunReader(run)
    recipe = reader.recipe()
    by_hand = to is not None and bool(set or use) and not scenario
    cause = None if by_hand else find_cause(reader, recipe, scenario, required=to is None or bool(scenario))
    changes = dict(set or {}) if use or cause is None else merged_changes(cause.set, set or {})
    used = use or (cause.use if cause else "")
    refuse_other_data(changes)
    if not changes and not used and to is None:
        raise RecipeError(_no_change(run, cause))
    first_sign = cause.first_sign if cause else None
    checkpoint, notes = _checkpoint(run, first_sign) if to is None else _checkpoint_up_to(run, to)
    planned = planned_changes(recipe, changes, used, recorded_flags(reader.environment()))
    if not planned and not used and to is None:
        raise RecipeError(_no_change(run, cause, in_force=True))
    return RollbackPlan(
        scenario=cause.name if cause else "",
        title=cause.title if cause else "",
        message=cause.event.message if cause else "",
        advice=cause.event.advice if cause else "",
        fired_step=_whole(cause.event.step) if cause else None,
        first_sign=first_sign,
        checkpoint=checkpoint,
        evidence=cause.event.evidence if cause else {},
        evidence_rows=cause.rows if cause else (),
        set=changes,
        use=used,
        changes=planned,
        command=rollback_command(run, scenario=cause.name if cause else "", to=to, changes=set or {}, use=use),
        notes=(*notes, *(() if planned else ("the recipe stays as it is: the same is trained again from there",))),
    )


def plan_to_json(plan: RollbackPlan) -> dict[str, Any]:
    """As plain values for JSON; non-finite numbers as text."""
    plain: dict[str, Any] = encode(
        {
            "scenario": plan.scenario,
            "title": plan.title,
            "message": plan.message,
            "advice": plan.advice,
            "fired_step": plan.fired_step,
            "first_sign": plan.first_sign,
            "checkpoint_step": plan.checkpoint_step,
            "checkpoint": str(plan.checkpoint.path) if plan.checkpoint else None,
            "rows": plan.evidence_rows,
            "set": plan.set,
            "use": plan.use,
            "changes": [attrs.asdict(change) for change in plan.changes],
            "notes": plan.notes,
            "command": plan.command,
        }
    )
    return plain


def healthy_checkpoint(run: Path, first_sign: float | None) -> Checkpoint | None:
    """The newest usable checkpoint from before a step, or of all where that is not known; None where there is none."""
    return _checkpoint(run, first_sign)[0]


def _checkpoint(run: Path, first_sign: float | None) -> tuple[Checkpoint | None, tuple[str, ...]]:
    checkpoint, faults = _newest_in_history(run, math.inf if first_sign is None else math.ceil(first_sign) - 1)
    if checkpoint is None:
        return None, (*faults, "no checkpoint before the first sign can be used: training begins anew, at step 0")
    return checkpoint, faults


def _checkpoint_up_to(run: Path, step: int) -> tuple[Checkpoint | None, tuple[str, ...]]:
    if step == 0:
        return None, ("training begins anew, at step 0",)
    checkpoint, faults = _newest_in_history(run, step)
    if checkpoint is None:
        there = ", ".join(str(found.step) for found in stored_checkpoints(run / CHECKPOINTS)) or "none"
        raise CheckpointError(
            "\n".join(
                [
                    f"No checkpoint of {run} up to step {step} can be used.",
                    *(f"  {fault}" for fault in faults),
                    f"Steps there: {there}. Give one of them with --to, or --to 0 to begin anew.",
                ]
            )
        )
    return checkpoint, faults


def _newest_in_history(run: Path, limit: float) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """The newest verified checkpoint up to a step, of the run or of those it descends from: up to where it left one,
    that one's past is its own."""
    faults: list[str] = []
    for _ in range(_MOST_ANCESTORS):
        found = newest_verified(run / CHECKPOINTS, up_to=limit)
        faults += found.faults
        lineage = read_lineage(run)
        parent = parent_of(run, lineage) if lineage else None
        if found.checkpoint is not None or lineage is None or parent is None:
            return found.checkpoint, tuple(faults)
        run, limit = parent, min(limit, lineage.step)
    return None, tuple(faults)


def _whole(step: float | None) -> int | None:
    return None if step is None else int(step)


def _no_change(run: Path, cause: Cause | None, *, in_force: bool = False) -> str:
    name = visible(cause.name) if cause else ""
    command = f"{rollback_command(run, scenario=name)} --set KEY=VALUE"
    known = "the change is in its recipe already" if in_force else "no change that would mend it is known"
    return (
        f"{name} fired in {run.name}, but {known}.\n"
        f"Say what to change: {command}, or --use RECIPE.\n"
        "To train the same recipe again from a checkpoint give its step: --to STEP"
    )
