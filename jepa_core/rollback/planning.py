"""What a rollback of a run would do: because of what, to which checkpoint, with which change. Nothing is touched.

The command, a rule that fires, a request, the demo and, through `jepa rollback --dry-run --json`, the monitor ask this
one function. "Healthy" is a checkpoint before the first sign of what fired, not before the firing.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_core.errors import CheckpointError, RecipeError
from jepa_core.recipes.reading import LoadedRecipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import Registry
from jepa_core.rollback.cause import NON_FINITE, Cause, find_cause
from jepa_core.rollback.change import changed_recipe, merged_changes, refuse_other_data, refuse_trained_out
from jepa_core.rollback.lineage import parent_of, read_lineage
from jepa_core.rollback.plan import RollbackPlan, rollback_command
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.naming import beside
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.stored_checkpoints import Checkpoint, newest_verified, stored_checkpoints
from jepa_core.visible_text import visible

_MOST_ANCESTORS = 50

_GENTLER = 0.5
"""Factor of the learning rate after something was not finite."""

WhyNot = Callable[[Checkpoint | None, Recipe], str | None]
"""Says why a run of a recipe cannot go on from a checkpoint that another's run wrote, or with None for the checkpoint
cannot begin anew; None where it can."""


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


def plan_rollback(
    run: Path,
    registry: Registry,
    *,
    scenario: str = "",
    to: int | None = None,
    set: Mapping[str, Any] | None = None,  # noqa: A002  # as in a recipe's rule
    use: str = "",
    why_not: WhyNot = lambda _checkpoint, _recipe: None,
) -> Rollback:
    """The rollback of a run.

    Args:
        run: the run directory.
        registry: the installed components.
        scenario: the id of a rollback, abort or scenario rule that has fired; when not given, the last rollback rule
            that has fired, else what stopped the run. With `to` and a change given it may be none at all.
        to: go back to the newest checkpoint up to this step; 0 begins anew. When not given, to the newest before the
            first sign of what fired.
        set: recipe values to change, on top of the rule's own.
        use: another recipe instead of the rule's own change.
        why_not: is asked before anything is stopped or made for it.

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
    changes = dict(set or {}) if use or cause is None else merged_changes(cause.set, set or {})
    used = use or (cause.use if cause else "")
    refuse_other_data(changes)
    if cause is not None and cause.name == NON_FINITE and not changes and not used and to is None:
        changes = gentler(reader.recipe())
    if not changes and not used and to is None:
        raise RecipeError(_no_change(run, cause))
    first_sign = cause.first_sign if cause else None
    changed = changed_recipe(run, registry, set=changes, use=used)
    recipe = changed.loaded.recipe
    checkpoint, notes = _healthy(run, first_sign) if to is None else _up_to(run, to)
    step = checkpoint.step if checkpoint else None
    if step:
        refuse_trained_out(run, step, recipe.train)
    if fault := why_not(checkpoint, recipe):
        raise RecipeError(_untrainable(checkpoint, fault))
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
        notes=(*notes, *same, *changed.notes),
    )
    return Rollback(parent=run, plan=plan, checkpoint=checkpoint, recipe=changed.loaded, left_out=changed.notes)


def _untrainable(checkpoint: Checkpoint | None, fault: str) -> str:
    if checkpoint is None:
        return f"The changed recipe cannot be trained: {fault}\nChange something else."
    return (
        f"With this change training cannot go on from {checkpoint.path}: {fault}\n"
        "Change something else, or go back to another checkpoint with --to STEP; --to 0 begins anew."
    )


def healthy_checkpoint(run: Path, first_sign: float | None) -> Checkpoint | None:
    """The newest usable checkpoint from before a step, or of all where that is not known; None where there is none."""
    return _healthy(run, first_sign)[0]


def gentler(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What may mend a value that is not finite: half the learning rate; empty where the recipe has none."""
    optimizer = recipe.get("optimizer")
    rate = optimizer.get("lr") if isinstance(optimizer, dict) else None
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 < rate < math.inf:
        return {}
    return {"optimizer": {"lr": rate * _GENTLER}}


def after_non_finite(run: Path) -> dict[str, str]:
    """What to type after a stop at a value that is not finite, the best first, and what each does.

    Raises:
        RunDirectoryError: the events cannot be read.
    """
    reader, commands = RunReader(run), dict[str, str]()
    fired = {event.name: event for event in reader.events()}.get(NON_FINITE)
    changes = gentler(reader.recipe())
    if changes:
        # Where the state was not finite only when it was to be saved, no rollback can name what fired.
        cause = Cause(name=NON_FINITE, event=fired, rule=None) if fired else None
        checkpoint = healthy_checkpoint(run, cause.first_sign if cause else None)
        step = checkpoint.step if checkpoint else 0
        scenario, to = (NON_FINITE, None) if cause else ("", step)
        start = f"goes on from step {step}" if checkpoint else "begins anew"
        command = rollback_command(run, scenario=scenario, to=to, changes=changes)
        commands[command] = f"{start} with half the learning rate"
    plugin = str(fired.evidence.get("plugin", "")) if fired else ""
    is_name = bool(plugin) and "\0" not in plugin
    # A file that lies with the runs may be a stranger's, and would be run.
    if is_name and not Path(plugin).resolve().is_relative_to(beside(run).resolve()):
        commands[f"jepa plugins check {shlex.quote(plugin)}"] = "tries the component that made the value alone"
    return commands


def _healthy(run: Path, first_sign: float | None) -> tuple[Checkpoint | None, tuple[str, ...]]:
    checkpoint, faults = _newest_in_history(run, math.inf if first_sign is None else math.ceil(first_sign) - 1)
    if checkpoint is None:
        return None, (*faults, "no checkpoint before the first sign can be used: training begins anew, at step 0")
    return checkpoint, faults


def _up_to(run: Path, step: int) -> tuple[Checkpoint | None, tuple[str, ...]]:
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
        if found.checkpoint is not None or lineage is None:
            return found.checkpoint, tuple(faults)
        parent = parent_of(run, lineage)
        if parent is None:
            absent = (
                f"{visible(lineage.parent)}, which {visible(run.name)} was rolled back from, does not lie beside it"
            )
            return None, (*faults, f"{absent}: none of its checkpoints can be used")
        run, limit = parent, min(limit, lineage.step)
    return None, tuple(faults)


def _no_change(run: Path, cause: Cause | None, *, in_force: bool = False) -> str:
    name = visible(cause.name) if cause else ""
    command = f"{rollback_command(run, scenario=name)} --set KEY=VALUE"
    known = "the change is in its recipe already" if in_force else "no change that would mend it is known"
    return (
        f"{name} fired in {run.name}, but {known}.\n"
        f"Say what to change: {command}, or --use RECIPE.\n"
        "To train the same recipe again from a checkpoint give its step: --to STEP"
    )
