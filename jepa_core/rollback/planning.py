"""What a rollback of a run would do: because of what, to which checkpoint, with which change. Nothing is touched.

The command, a rule that fires, a request, the demo and, through `jepa rollback --dry-run --json`, the monitor ask this
one function. "Healthy" is a checkpoint before the first sign of what fired, not before the firing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from jepa_core.errors import JepaError, RecipeError
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.reading import LoadedRecipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import Registry
from jepa_core.rollback.cause import NON_FINITE, Cause, find_cause
from jepa_core.rollback.change import (
    ChangedRecipe,
    changed_recipe,
    merged_changes,
    refuse_other_data,
    refuse_trained_out,
)
from jepa_core.rollback.plan import RollbackPlan, rollback_command
from jepa_core.rollback.ways_back import gentler, healthy, up_to
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from jepa_core.visible_text import clean, visible

LONGEST_FAULT = 400
"""Characters of why a change cannot be made."""


@attrs.frozen(kw_only=True)
class Trial:
    """What was seen when a changed recipe was tried on a checkpoint of the run before."""

    fault: str = ""
    """Why training cannot go on from there; empty where it can."""
    anew: tuple[str, ...] = ()
    """What of the model would not come from the checkpoint, in words."""


Try = Callable[[Checkpoint | None, Recipe], Trial]
"""Tries a recipe on a checkpoint that another's run wrote; with None for the checkpoint, whether it can begin anew."""


@attrs.frozen(kw_only=True)
class Rollback:
    """A rollback that was checked as a whole, and can be carried out."""

    parent: Path
    plan: RollbackPlan
    checkpoint: Checkpoint | None
    recipe: LoadedRecipe
    """The child's."""
    left_out: tuple[str, ...]
    """What of the parent's rules and flags the child cannot keep."""
    anew: tuple[str, ...] = ()
    """What of the child's model does not come from the checkpoint, in words."""


def plan_rollback(
    run: Path,
    registry: Registry,
    *,
    scenario: str = "",
    to: int | None = None,
    set: Mapping[str, Any] | None = None,  # noqa: A002  # as in a recipe's rule
    use: str = "",
    try_child: Try = lambda _checkpoint, _recipe: Trial(),
) -> Rollback:
    """The rollback of a run.

    Args:
        run: the run directory.
        registry: the installed components.
        scenario: the id of a rollback, abort or scenario rule that has fired; when not given, the last rollback rule
            that has fired, else what stopped the run. With `to` and a change given it may be none at all.
        to: go back to the newest checkpoint up to this step; 0 begins anew. When not given, to the newest before the
            first sign of what fired.
        set: recipe values to change, on top of the rule's own; alone where that cannot be made, which a note says.
        use: another recipe instead of the rule's own change.
        try_child: is asked before anything is stopped or made for it.

    Raises:
        RunDirectoryError: there is no run directory, or its recipe cannot be read.
        RecipeError: nothing has fired, no change is known, the change cannot be one of a rollback, or it makes no
            recipe that can be trained from there.
        CheckpointError: no checkpoint up to `to` can be used.
    """
    if to is not None and to < 0:
        raise RecipeError(f"--to {to} is no step: 0 begins anew, more goes back to the newest checkpoint up to it.")
    reader = RunReader(run)
    by_hand = to is not None and bool(set or use) and not scenario
    required = to is None or bool(scenario)
    cause = None if by_hand else find_cause(reader, reader.recipe(), scenario, required=required)
    own = {} if use or cause is None else cause.set
    used = use or (cause.use if cause else "")
    changes = merged_changes(own, set or {})
    if cause is not None and cause.name == NON_FINITE and not changes and not used and to is None:
        changes = gentler(reader.recipe())
    if not changes and not used and to is None:
        raise RecipeError(_no_change(run, cause))
    first_sign = cause.first_sign if cause else None
    prepare = partial(_prepared, run, registry, first_sign=first_sign, to=to, try_child=try_child)
    left_out: tuple[str, ...] = ()
    try:
        prepared = prepare(changes, used)
    except RecipeError as error:
        if use or not set or not (own or used):
            raise
        # Who gives another change is not kept from it by one that a rule names in vain.
        changes, used = dict(set), ""
        prepared = prepare(changes, used)
        left_out = (f"the change that {visible(cause.name if cause else '')} names is left out: {on_one_line(error)}",)
    changed, checkpoint, notes = prepared.changed, prepared.checkpoint, (*left_out, *prepared.notes)
    step = checkpoint.step if checkpoint else None
    if not changed.changes and not used and to is None:
        raise RecipeError(_no_change(run, cause, in_force=True))
    same = () if changed.changes else ("the recipe stays as it is: the same is trained again from there",)
    plan = RollbackPlan(
        scenario=cause.name if cause else "",
        title=cause.title if cause else "",
        message=cause.event.message if cause else "",
        advice=cause.event.advice if cause else "",
        fired_step=None if cause is None or cause.event.step is None else int(cause.event.step),
        first_sign=first_sign,
        checkpoint_step=step,
        checkpoint=str(checkpoint.path) if checkpoint else None,
        evidence=cause.event.evidence if cause else {},
        rows=cause.rows if cause else (),
        set=changes,
        use=used,
        changes=changed.changes,
        command=rollback_command(run, scenario=cause.name if cause else "", to=to, changes=set or {}, use=use),
        notes=(*notes, *same, *changed.notes, *prepared.anew),
    )
    return Rollback(
        parent=run, plan=plan, checkpoint=checkpoint, recipe=changed.loaded, left_out=changed.notes, anew=prepared.anew
    )


@attrs.frozen
class _Prepared:
    changed: ChangedRecipe
    checkpoint: Checkpoint | None
    notes: tuple[str, ...]
    """Of the checkpoint."""
    anew: tuple[str, ...]


def _prepared(
    run: Path,
    registry: Registry,
    changes: Mapping[str, Any],
    used: str,
    *,
    first_sign: float | None,
    to: int | None,
    try_child: Try,
) -> _Prepared:
    """The recipe with a change, and the checkpoint from which it can be trained.

    Raises:
        RecipeError: the change cannot be one of a rollback, or it makes no recipe that can be trained from there.
        CheckpointError: no checkpoint up to `to` can be used.
    """
    refuse_other_data(changes)
    changed = changed_recipe(run, registry, set=changes, use=used)
    recipe = changed.loaded.recipe
    checkpoint, notes = healthy(run, first_sign) if to is None else up_to(run, to)
    if checkpoint is not None and checkpoint.step:
        refuse_trained_out(run, checkpoint.step, recipe.train)
    trial = try_child(checkpoint, recipe)
    if trial.fault:
        raise RecipeError(_untrainable(checkpoint, trial.fault))
    return _Prepared(changed, checkpoint, notes, trial.anew)


def on_one_line(error: JepaError) -> str:
    """Of faults of a recipe what each is, without its place: that is in a rule, which no file has any more."""
    said = str(error)
    if isinstance(error, RecipeFaultsError):
        said = "; ".join(" ".join(filter(None, [fault.key, fault.message])) for fault in error.faults)
    return clean(" ".join(said.split()), LONGEST_FAULT).rstrip(".")


def _untrainable(checkpoint: Checkpoint | None, fault: str) -> str:
    if checkpoint is None:
        return f"The changed recipe cannot be trained: {fault}\nChange something else."
    return (
        f"With this change training cannot go on from {checkpoint.path}: {fault}\n"
        "Change something else, or go back to another checkpoint with --to STEP; --to 0 begins anew."
    )


def _no_change(run: Path, cause: Cause | None, *, in_force: bool = False) -> str:
    name = visible(cause.name) if cause else ""
    command = f"{rollback_command(run, scenario=name)} --set KEY=VALUE"
    known = "the change is in its recipe already" if in_force else "no change that would mend it is known"
    return (
        f"{name} fired in {run.name}, but {known}.\n"
        f"Say what to change: {command}, or --use RECIPE.\n"
        "To train the same recipe again from a checkpoint give its step: --to STEP"
    )
