"""Where a run can go back to, and what to type after a value that is not finite. Loads no component."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jepa_core.errors import CheckpointError
from jepa_core.rollback.cause import NON_FINITE, Cause
from jepa_core.rollback.lineage import parent_of, read_lineage
from jepa_core.rollback.plan import rollback_command
from jepa_core.run_directory.layout import CHECKPOINTS, RECIPE
from jepa_core.run_directory.naming import beside
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.stored_checkpoints import Checkpoint, newest_verified, stored_checkpoints
from jepa_core.shell_words import typed_path
from jepa_core.visible_text import visible

_MOST_ANCESTORS = 50

_GENTLER = 0.5
"""Factor of the learning rate after something was not finite."""
_HIGHEST = 1.0
"""The highest learning rate of which half may do: a higher one is a slip, and half of it is another."""
_USUAL = 3e-4
"""The learning rate of a recipe that gives none. The class that has it as its default would load torch."""

Found = tuple[Checkpoint | None, tuple[str, ...]]
"""A checkpoint, or None to begin anew, and what is to be said of it."""


def gentler(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What may mend a value that is not finite: half the learning rate, or the usual one where it is far above
    that; empty where the recipe has none."""
    optimizer = recipe.get("optimizer")
    rate = optimizer.get("lr") if isinstance(optimizer, dict) else None
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 < rate < math.inf:
        return {}
    return {"optimizer": {"lr": rate * _GENTLER if rate <= _HIGHEST else _USUAL}}


def after_non_finite(run: Path) -> dict[str, str]:
    """What to type after a stop at a value that is not finite, the best first, and what each does.

    Raises:
        RunDirectoryError: the events cannot be read.
    """
    reader, commands = RunReader(run), dict[str, str]()
    fired = {event.name: event for event in reader.events()}.get(NON_FINITE)
    recipe = reader.recipe()
    cause = Cause(name=NON_FINITE, event=fired, rule=None) if fired else None
    before_any_step = cause is not None and cause.first_sign == 1
    changes = {} if before_any_step else gentler(recipe)  # the rate cannot matter before the first step
    if changes:
        # Where the state was not finite only when it was to be saved, no rollback can name what fired.
        checkpoint, _ = healthy(run, cause.first_sign if cause else None)
        step = checkpoint.step if checkpoint else 0
        scenario, to = (NON_FINITE, None) if cause else ("", step)
        start = f"goes on from step {step}" if checkpoint else "begins anew"
        command = rollback_command(run, scenario=scenario, to=to, changes=changes)
        rate = "the usual" if recipe["optimizer"]["lr"] > _HIGHEST else "half the"
        commands[command] = f"{start} with {rate} learning rate"
    plugin = str(fired.evidence.get("plugin", "")) if fired else ""
    is_name = bool(plugin) and "\0" not in plugin
    # A file that lies with the runs may be a stranger's, and would be run.
    if is_name and not Path(plugin).resolve().is_relative_to(beside(run).resolve()):
        commands[f"jepa plugins check {shlex.quote(plugin)}"] = "tries the component that made the value alone"
    if before_any_step and recipe:
        command = f"jepa audit {typed_path(run / RECIPE)}{plugin_flags(run)}"
        commands[command] = "not a step had been taken: says the size of the data's values"
    return commands


def healthy(run: Path, first_sign: float | None) -> Found:
    """The newest usable checkpoint from before a step, or of all where that is not known."""
    checkpoint, faults = _newest_in_history(run, math.inf if first_sign is None else math.ceil(first_sign) - 1)
    if checkpoint is None:
        return None, (*faults, "no checkpoint before the first sign can be used: training begins anew, at step 0")
    return checkpoint, faults


def up_to(run: Path, step: int) -> Found:
    """The newest usable checkpoint up to a step.

    Raises:
        CheckpointError: there is none.
    """
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
    if checkpoint.step < step:
        newest = f"no checkpoint of step {step} can be used; the newest before it is of step {checkpoint.step}"
        faults = (*faults, newest)
    return checkpoint, faults


def _newest_in_history(run: Path, limit: float) -> Found:
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
