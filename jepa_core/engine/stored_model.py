"""A run's checkpoint as a model to look at: which one is meant, and its weights without optimizer or progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import torch

from jepa_core.contracts import Space, spaces_of
from jepa_core.engine.checkpoint import CheckpointFolder, load_checkpoint
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.network import build_parts
from jepa_core.engine.objective import Objective
from jepa_core.engine.state_registry import StateRegistry
from jepa_core.errors import CheckpointError, JepaError, RecipeError, RunDirectoryError
from jepa_core.recipes.tables import Recipe
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.stored_checkpoints import Checkpoint

BEST, NEWEST = "best", "newest"


@attrs.frozen(kw_only=True)
class ChosenCheckpoint:
    """The checkpoint that was meant."""

    checkpoint: Checkpoint
    why: str
    """Such as "best: highest retrieval"."""
    notes: tuple[str, ...] = ()
    """What is wrong with others that came before it."""


@attrs.frozen(kw_only=True)
class StoredModel:
    """Weights of a checkpoint, in evaluation mode."""

    objective: Objective
    shape: DataShape
    epoch: float


def choose_checkpoint(run: RunReader, wanted: str) -> ChosenCheckpoint:
    """The checkpoint of a step, `best` or `newest`; with an empty text the best where it is kept, else the newest.

    Raises:
        CheckpointError: there is none such, or it is damaged.
        RecipeError: the text names none.
    """
    folder = CheckpointFolder(run.path / CHECKPOINTS, keep=2)
    if wanted.isdecimal():
        return ChosenCheckpoint(checkpoint=_at_step(folder, int(wanted)), why="")
    if wanted not in ("", BEST, NEWEST):
        raise RecipeError(f"--step {wanted!r} is no checkpoint. Use a step's number, best or newest.")
    if wanted == BEST:
        return _best(run, folder)
    return _newest(folder) if wanted == NEWEST else _best_if_kept(run, folder)


def _best_if_kept(run: RunReader, folder: CheckpointFolder) -> ChosenCheckpoint:
    """The best; the newest while no verdict names one, or, with the reason, when it cannot be had."""
    try:
        verdict = run.verdict()
        return _newest(folder) if verdict is None or verdict.best is None else _best(run, folder)
    except RunDirectoryError as error:
        return _newest(folder, f"not the best checkpoint: {error}")


def _newest(folder: CheckpointFolder, *notes: str) -> ChosenCheckpoint:
    newest, faults = folder.newest()
    if newest is None:
        remedy = (
            "Copy them anew from where the run was made, or train it again."
            if faults
            else "A run writes its first one after checkpoint.every_epochs."
        )
        found = "; ".join(faults) or "there is none"
        raise CheckpointError(f"No checkpoint in {folder.folder} can be used: {found}.\n{remedy}")
    return ChosenCheckpoint(checkpoint=newest, why="newest", notes=(*notes, *faults))


def _best(run: RunReader, folder: CheckpointFolder) -> ChosenCheckpoint:
    verdict = run.verdict()
    if verdict is None or verdict.best is None:
        raise CheckpointError(f"{run.name} has no verdict that names a best checkpoint. Use --step newest.")
    checkpoint = _at_step(folder, verdict.best.step)
    return ChosenCheckpoint(checkpoint=checkpoint, why=f"best: {verdict.best.why}")


def _at_step(folder: CheckpointFolder, step: int) -> Checkpoint:
    kept = {checkpoint.step: checkpoint for checkpoint in folder.all()}
    if step not in kept:
        there = ", ".join(map(str, kept)) or "none"
        raise CheckpointError(f"There is no checkpoint of step {step} in {folder.folder}. Steps there: {there}.")
    fault = kept[step].verify()
    if fault is not None:
        raise CheckpointError(f"Checkpoint {kept[step].path} cannot be used: {fault}.")
    return kept[step]


def load_model(recipe: Recipe, checkpoint: Checkpoint, device: torch.device) -> StoredModel:
    """Build the parts of a run's own recipe and put the checkpoint's weights into them.

    Raises:
        CheckpointError: it cannot be read, or does not fit the recipe.
    """
    states = load_checkpoint(checkpoint)
    shape, epoch = _shape_and_epoch(checkpoint.path, states, _space_class(recipe, states))
    parts = build_parts(recipe, shape, device)
    weights = StateRegistry()
    weights.add_module("online", parts.online)
    weights.add_module("target", parts.target)
    weights.add_module("losses", parts.losses)
    weights.write({name: states[name] for name in weights.names() if name in states})
    objective = Objective(parts, {name: entry.weight for name, entry in recipe.losses.items()})
    return StoredModel(objective=objective.eval(), shape=shape, epoch=epoch)


def _space_class(recipe: Recipe, states: dict[str, Any]) -> type[Space]:
    """What the run's data is of; where that hangs on data which is no longer there, the encoder's space of this kind.

    Raises:
        JepaError: neither is known.
    """
    try:
        space: type[Space] = recipe.data.space
    except JepaError:
        shape = states.get("data_shape")
        written = shape.get("space") if isinstance(shape, dict) else None
        kind = written.get("kind") if isinstance(written, dict) else None
        named = [taken for taken in spaces_of(recipe.encoder) if taken.kind == kind]
        if not named:
            raise
        return named[0]
    return space


def _shape_and_epoch(path: Path, states: dict[str, Any], space_class: type[Space]) -> tuple[DataShape, float]:
    try:
        return DataShape.from_state(states["data_shape"], space_class), float(states["progress"]["epoch"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"Checkpoint {path} does not say what data its weights fit: it was written by another version."
        ) from error
