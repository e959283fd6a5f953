"""A run's checkpoint as a model to look at: which one is meant, and its weights without optimizer or progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch

from jepa_core.engine.checkpoint import load_checkpoint
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.expected_state import misfit, number
from jepa_core.engine.network import Parts, build_parts
from jepa_core.engine.objective import Objective
from jepa_core.engine.run_state import data_shape_in, parts_outline
from jepa_core.engine.state_registry import StateRegistry, without_advice
from jepa_core.errors import CheckpointError, RecipeError, RunDirectoryError
from jepa_core.recipes.tables import Recipe
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.stored_checkpoints import Checkpoint, newest_verified, stored_checkpoints

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


Refused = Callable[[Checkpoint], str | None]
"""Says why a checkpoint that verifies cannot be used; None where it can."""


def choose_checkpoint(run: RunReader, wanted: str, refused: Refused = lambda _: None) -> ChosenCheckpoint:
    """The checkpoint of a step, `best` or `newest`; with an empty text the best where it is kept, else the newest.

    Args:
        run: the run.
        wanted: which.
        refused: what else stands against one; an older one takes its place where none was asked for by name.

    Raises:
        CheckpointError: there is none such, or it is damaged.
        RecipeError: the text names none.
    """
    if _is_step(wanted):
        return ChosenCheckpoint(checkpoint=_at_step(run, int(wanted), refused), why="")
    if wanted not in ("", BEST, NEWEST):
        raise RecipeError(f"--step {wanted!r} is no checkpoint. Use a step's number, best or newest.")
    if wanted == BEST:
        return _best(run, refused)
    return _newest(run, refused) if wanted == NEWEST else _best_if_kept(run, refused)


def _is_step(wanted: str) -> bool:
    return wanted.isascii() and wanted.isdecimal() and len(wanted) <= 18


def _best_if_kept(run: RunReader, refused: Refused) -> ChosenCheckpoint:
    """The best; the newest while no verdict names one, or, with the reason, when it cannot be had."""
    try:
        verdict = run.verdict()
        return _newest(run, refused) if verdict is None or verdict.best is None else _best(run, refused)
    except RunDirectoryError as error:
        return _newest(run, refused, f"not the best checkpoint: {error}")


def _newest(run: RunReader, refused: Refused, *notes: str) -> ChosenCheckpoint:
    folder = run.path / CHECKPOINTS
    newest = newest_verified(folder, refused=refused)
    if newest.checkpoint is None:
        remedy = (
            "Copy them anew from where the run was made, or train it again."
            if newest.faults
            else "A run writes its first one after checkpoint.every_epochs."
        )
        found = "; ".join(newest.faults) or "there is none"
        raise CheckpointError(f"No checkpoint in {folder} can be used: {found}.\n{remedy}")
    return ChosenCheckpoint(checkpoint=newest.checkpoint, why="newest", notes=(*notes, *newest.faults))


def _best(run: RunReader, refused: Refused) -> ChosenCheckpoint:
    verdict = run.verdict()
    if verdict is None or verdict.best is None:
        raise CheckpointError(f"{run.name} has no verdict that names a best checkpoint. Use --step newest.")
    checkpoint = _at_step(run, verdict.best.step, refused)
    return ChosenCheckpoint(checkpoint=checkpoint, why=f"best: {verdict.best.why}")


def _at_step(run: RunReader, step: int, refused: Refused) -> Checkpoint:
    folder = run.path / CHECKPOINTS
    kept = {checkpoint.step: checkpoint for checkpoint in stored_checkpoints(folder)}
    if step not in kept:
        there = ", ".join(map(str, kept)) or "none"
        raise CheckpointError(f"There is no checkpoint of step {step} in {folder}. Steps there: {there}.")
    fault = kept[step].verify() or refused(kept[step])
    if fault is not None:
        raise CheckpointError(f"Checkpoint {kept[step].path} cannot be used: {fault}.")
    return kept[step]


def load_model(recipe: Recipe, checkpoint: Checkpoint, device: torch.device) -> StoredModel:
    """Build the parts of a run's own recipe and put the checkpoint's weights into them, once they are found to fit.

    Raises:
        CheckpointError: it cannot be read, or does not fit the recipe.
    """
    states = load_checkpoint(checkpoint)
    _check_weights(states, recipe)
    shape = data_shape_in(states, recipe)
    parts = build_parts(recipe, shape, device)
    weights = _weights(parts)
    weights.write({name: states[name] for name in weights.names()})
    objective = Objective(parts, {name: entry.weight for name, entry in recipe.losses.items()})
    return StoredModel(objective=objective.eval(), shape=shape, epoch=_epoch(states))


def why_no_model(recipe: Recipe, checkpoint: Checkpoint) -> str | None:
    """Why `load_model` would refuse a checkpoint that verifies; None where it would not."""
    try:
        _check_weights(load_checkpoint(checkpoint), recipe)
    except CheckpointError as error:
        return without_advice(error)
    return None


def _check_weights(states: Mapping[str, Any], recipe: Recipe) -> None:
    """See that weights fit a recipe before anything is made for them.

    Raises:
        CheckpointError: they do not.
    """
    expected = _weights(parts_outline(recipe, data_shape_in(states, recipe)))
    expected.check({name: states[name] for name in expected.names() if name in states})
    _epoch(states)


def _weights(parts: Parts) -> StateRegistry:
    weights = StateRegistry()
    weights.add_module("online", parts.online)
    weights.add_module("target", parts.target)
    weights.add_module("losses", parts.losses)
    return weights


def _epoch(states: Mapping[str, Any]) -> float:
    """
    Raises:
        CheckpointError: it is not there, or no number.
    """
    progress = states.get("progress")
    epoch = progress.get("epoch") if isinstance(progress, Mapping) else None
    said = misfit(epoch, number(0), "epoch")
    if epoch is None or said:
        raise CheckpointError(f"The checkpoint's progress does not say how far the run was: {said}.")
    return float(epoch)
