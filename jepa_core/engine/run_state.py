"""What a run's state consists of, and what each part of it must look like for a run of this recipe.

The parts are those that the trainer registers; plain numbers are checked here for what they can be at all, and for
whether they go together.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Space, spaces_of
from jepa_core.engine.checkpoint import load_checkpoint
from jepa_core.engine.course import Course
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.expected_state import Check, described, misfit, number, tensor_like, texts, whole
from jepa_core.engine.fitting_state import StartedAnew, load_fitting
from jepa_core.engine.meters import Meters
from jepa_core.engine.network import Parts, build_parts
from jepa_core.engine.optimizer import GatedAdam, LossScale
from jepa_core.engine.state_registry import Entry, StateRegistry, without_advice
from jepa_core.engine.step import trained_parameters
from jepa_core.engine.vote import Vote
from jepa_core.errors import CheckpointError, JepaError
from jepa_core.recipes.tables import Recipe
from jepa_core.rollback.planning import Trial
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from jepa_core.visible_text import clean

_CPU = torch.device("cpu")
_LONGEST_CONTEXT = 1 << 20
"""Observations; each is given a role before anything is found to fit."""


def run_state(
    *,
    shape: DataShape,
    parts: Parts,
    optimizer: GatedAdam,
    vote: Vote,
    loss_scale: LossScale,
    meters: Meters,
    progress: Entry,
) -> StateRegistry:
    """All of it, by name."""
    state = StateRegistry()
    state.add("data_shape", shape, check=lambda found: _data_shape_fault(found, shape))
    state.add_module("online", parts.online)
    state.add_module("target", parts.target)
    state.add_module("losses", parts.losses)
    state.add_entry(
        "optimizer",
        Entry(
            optimizer.state,
            optimizer.restore,
            lambda found: _restore_moments_that_fit(optimizer, found),
            check=lambda found: misfit(found, _expected_moments(optimizer)),
            check_fitting=_other_moments_fault,
        ),
    )
    state.add("vote", vote, check=lambda found: _vote_fault(found, vote))
    state.add("loss_scale", loss_scale, check=lambda found: misfit(found, _expected_scale(loss_scale)))
    state.add("meters", meters, check=_meters_fault)
    state.add_entry("progress", attrs.evolve(progress, check=progress_fault))
    return state


def _restore_moments_that_fit(optimizer: GatedAdam, found: Any) -> tuple[StartedAnew, ...]:
    """What is missing is told of where the parameters are."""
    optimizer.restore_fitting(found)
    return ()


def progress_fault(found: Any) -> str:
    """What is wrong with a state of how far a run is."""
    number_of_steps = found.get("step") if isinstance(found, Mapping) else None
    steps = number_of_steps if type(number_of_steps) is int and number_of_steps >= 0 else 0
    expected = {
        "step": whole(),
        "epoch": number(0),
        "best": lambda best: misfit(best, _best(steps) if best else {}),
        "course": {
            **dict.fromkeys(("num_sequences", "batch_size", "accumulate", "epochs"), whole(1)),
            "step": whole(0, steps),
            "position": {"epoch": whole(), "drawn": whole()},
            "epoch_then": number(0),
            "share_then": number(0, 1),
        },
        # Only up to the first row after a start with other tensors.
        **({"anew": whole(1)} if isinstance(found, Mapping) and "anew" in found else {}),
    }
    return misfit(found, expected) or _course_fault(found)


def _best(steps: int) -> Mapping[str, Check]:
    return {"step": whole(0, steps), "epoch": number(0), "mrr": number(0, 1)}


def _course_fault(found: Mapping[str, Any]) -> str:
    """Whether a run's step, its epoch and its way through the data go together."""
    course, step = Course.restored(found["course"]), found["step"]
    if course.batch_size > course.num_sequences:
        return f"course/batch_size is {course.batch_size} of {course.num_sequences} sequences"
    if course.position.drawn > course.num_sequences or course.step > course.run_steps:
        return "course/position is not within the data"
    if step > course.run_steps:
        return f"step is {step} of {course.run_steps}"
    if not math.isclose(course.epoch(step), found["epoch"], rel_tol=1e-9, abs_tol=1e-9):
        return f"epoch is {described(found['epoch'])}, and by course {course.epoch(step):g} after step {step}"
    return ""


def _data_shape_fault(found: Any, shape: DataShape) -> str:
    if isinstance(found, Mapping):
        if said := _context_fault(found):
            return said
        shape.restore(found)
    expected = shape.state()
    return misfit(found, expected) or ("" if found == expected else "its numbers are other ones")


def _expected_moments(optimizer: GatedAdam) -> Mapping[str, Mapping[str, Check]]:
    return {
        name: {
            "step": tensor_like(moments["step"], least=0),
            "exp_avg": tensor_like(moments["exp_avg"], least=-math.inf),
            "exp_avg_sq": tensor_like(moments["exp_avg_sq"], least=0),
        }
        for name, moments in optimizer.state().items()
    }


def _other_moments_fault(found: Any) -> str:
    """Whether they are moments at all, of whatever parameters."""
    if not isinstance(found, Mapping):
        return f"is {described(found)} instead of an object"
    for name, moments in found.items():
        like = moments.get("exp_avg") if isinstance(moments, Mapping) else None
        if not isinstance(like, Tensor):
            return f"{name} has no exp_avg"
        expected = {
            "step": tensor_like(torch.zeros((), dtype=torch.float32), least=0),
            "exp_avg": tensor_like(like, least=-math.inf),
            "exp_avg_sq": tensor_like(like, least=0),
        }
        if said := misfit(moments, expected, name):
            return said
    return ""


def _expected_flags(vote: Vote) -> Mapping[str, Check]:
    return {name: tensor_like(flag, least=-1 if name.endswith("_step") else 0) for name, flag in vote.state().items()}


def _vote_fault(found: Any, vote: Vote) -> str:
    """Counts in a row tell nothing of a run that goes on well, so what they can be is seen from the others."""
    said = misfit(found, _expected_flags(vote))
    if said:
        return said
    counts = {name: int(flag) for name, flag in found.items()}
    overflows, in_a_row, skipped = counts["overflows"], counts["refused_in_a_row"], counts["skipped"]
    if not overflows <= in_a_row <= skipped:
        return f"of {skipped} steps that were skipped {in_a_row} are in a row, and {overflows} of these overflows"
    if (counts["refused_step"] < 0) != (skipped == 0):
        return f"{skipped} steps were skipped, the newest of them {counts['refused_step']}"
    return ""


def _expected_scale(loss_scale: LossScale) -> Mapping[str, Check]:
    state = loss_scale.state()
    return {
        "scale": tensor_like(state["scale"], least=1, most=LossScale.LARGEST),
        "good_steps": tensor_like(state["good_steps"], least=0),
    }


def _meters_fault(found: Any) -> str:
    if isinstance(found, Mapping):
        # Once kept, though every step wrote them anew.
        found = {"rank_rows": [], **{name: value for name, value in found.items() if name != "notes"}}
    names = found.get("names") if isinstance(found, Mapping) else None
    size = len(names) if isinstance(names, list) else 0
    like = torch.zeros(2, size)

    def sums(value: Any) -> str:
        """Sums of what was not finite, in a step that was skipped, are not either."""
        # Once kept without the counts in the second row.
        alike = isinstance(value, Tensor) and value.dtype == like.dtype and value.shape in {like.shape, like[0].shape}
        return "" if alike else f"is {described(value)} instead of {described(like)}"

    def rank_rows(value: Any) -> str:
        counts = value if isinstance(value, list) else [None]
        return next((said for count in counts if (said := misfit(count, whole()))), "")

    expected = {"names": texts, "sums": sums, "steps": whole(), "rows": whole(), "rank_rows": rank_rows}
    return misfit(found, expected)


def why_not(checkpoint: Checkpoint, recipe: Recipe, *, inherits: bool) -> str | None:
    """Why a run of a recipe cannot go on from a checkpoint that verifies; None where it can, as far as is known without
    its data. Nothing is written, and no model is made: only its shapes are.

    Args:
        checkpoint: where it would go on from.
        recipe: the run's.
        inherits: the checkpoint may be of another recipe, so that what does not fit starts anew.
    """
    try:
        _checked(checkpoint, recipe, inherits=inherits)
    except CheckpointError as error:
        return without_advice(error)
    return None


def try_child(checkpoint: Checkpoint | None, recipe: Recipe, *, shape: DataShape | None = None) -> Trial:
    """The same of a run with a changed recipe; of one that begins anew where there is no checkpoint. And what of the
    checkpoint it has no place for.

    Args:
        checkpoint: of the run before.
        recipe: the changed one.
        shape: of the data, which is built where that is not known and there is no checkpoint.
    """
    if checkpoint is not None:
        try:
            return Trial(anew=_starts_anew(*_checked(checkpoint, recipe, inherits=True)))
        except CheckpointError as error:
            return Trial(fault=without_advice(error))
    try:
        parts_outline(recipe, shape or DataShape.of(built_dataset(recipe)))
    except JepaError as error:
        return Trial(fault=str(error))
    return Trial()


def _checked(checkpoint: Checkpoint, recipe: Recipe, *, inherits: bool) -> tuple[Mapping[str, Any], Parts]:
    """A checkpoint's state, and the outline of a recipe's model that it was found to fit.

    Raises:
        CheckpointError: it does not, or cannot be read.
    """
    states = load_checkpoint(checkpoint)
    shape = data_shape_in(states, recipe)
    parts = parts_outline(recipe, shape)
    state = run_state(
        shape=shape,
        parts=parts,
        optimizer=GatedAdam(recipe.optimizer, trained_parameters(parts)),
        vote=Vote(recipe.train.non_finite, _CPU),
        loss_scale=LossScale(enabled=False, device=_CPU),
        meters=Meters(_CPU),
        progress=Entry(dict, lambda _: None),
    )
    state.check(states, fitting=inherits)
    return states, parts


def _starts_anew(states: Mapping[str, Any], parts: Parts) -> tuple[str, ...]:
    """What of a model would not come from a state that was found to fit it, in words."""
    modules = {"online": parts.online, "target": parts.target, "losses": parts.losses}
    with warnings.catch_warnings():
        # Into an outline, which has no numbers, nothing is copied.
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter")
        anew = [part for name, module in modules.items() for part in load_fitting(module, states[name])]
    return tuple(part.describe() for part in dict.fromkeys(anew))


def parts_outline(recipe: Recipe, shape: DataShape) -> Parts:
    """The parts of a recipe's model without their numbers, where its components can be made so; else with them.

    Raises:
        CheckpointError: there can be no such model.
    """
    with torch.random.fork_rng(devices=[]):
        # A component may want to see numbers as it is made.
        with suppress(Exception), torch.device("meta"):
            return build_parts(recipe, shape, torch.device("meta"))
        try:
            return build_parts(recipe, shape, _CPU)
        except JepaError as error:
            raise CheckpointError(f"No model can be built for {shape.describe()}: {error}") from error


def data_shape_in(states: Mapping[str, Any], recipe: Recipe) -> DataShape:
    """The shape of the data that a checkpoint's weights take.

    Raises:
        CheckpointError: it does not say.
        JepaError: the recipe's data has no space, and the checkpoint names none that its encoder takes.
    """
    state = states.get("data_shape")
    fault = ""
    try:
        if isinstance(state, Mapping):
            if said := _context_fault(state):
                raise ValueError(said)
            return DataShape.from_state(state, _space_class(recipe, state))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        fault = f": {clean(str(error), 200)}"
    raise CheckpointError(f"The checkpoint's data_shape does not say what data its weights take{fault}.")


def _context_fault(shape: Mapping[str, Any]) -> str:
    return misfit(shape.get("context_length"), whole(1, _LONGEST_CONTEXT), "context_length")


def _space_class(recipe: Recipe, shape: Mapping[str, Any]) -> type[Space]:
    """What the run's data is of; where that hangs on data which is no longer there, the encoder's space of this kind.

    Raises:
        JepaError: neither is known.
    """
    try:
        space: type[Space] = recipe.data.space
    except (JepaError, AttributeError):
        written = shape.get("space")
        kind = written.get("kind") if isinstance(written, Mapping) else None
        named = [taken for taken in spaces_of(recipe.encoder) if taken.kind == kind]
        if not named:
            raise
        return named[0]
    return space
