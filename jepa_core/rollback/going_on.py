"""What to type to go on with a run that has stopped, as far as its files allow it. Loads no component."""

from __future__ import annotations

from pathlib import Path

from jepa_core.errors import CheckpointError
from jepa_core.rollback.lineage import read_lineage
from jepa_core.run_directory.layout import CHECKPOINTS, RECIPE, is_run
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.stored_checkpoints import stored_checkpoints
from jepa_core.shell_words import typed_path


def resume_command(run: Path) -> str:
    """What is typed to resume a run."""
    return f"jepa run --resume {typed_name(run)}{plugin_flags(run)}"


def no_recipe(run: Path) -> str:
    """Why no command goes on with a run; empty where its recipe can be read."""
    if is_run(run) and RunReader(run).recipe():
        return ""
    return f"{run / RECIPE} cannot be read, so nothing can go on from here. Put it back, or start a new run."


def going_on(run: Path) -> str:
    """How to go on with a run that its process has left: a command that can be typed, or why there is none. Checkpoints
    are not verified."""
    fault = no_recipe(run)
    if fault:
        return fault
    lineage = read_lineage(run)
    try:
        can_resume = bool(stored_checkpoints(run / CHECKPOINTS)) or (lineage is not None and lineage.step == 0)
    except CheckpointError:
        can_resume = False
    if can_resume:
        return f"Go on with: {resume_command(run)}"
    anew = f"jepa run {typed_path(run / RECIPE)}{plugin_flags(run)}"
    return f"It has no checkpoint to go on from. Begin anew with: {anew}"


def is_saved(run: Path, step: int) -> bool:
    """Whether a checkpoint of a step lies there."""
    try:
        return any(found.step == step for found in stored_checkpoints(run / CHECKPOINTS))
    except CheckpointError:
        return False
