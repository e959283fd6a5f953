"""Which checkpoint of a run is meant, and its weights alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.network import Parts, build_parts
from jepa_core.engine.stored_model import choose_checkpoint, load_model
from jepa_core.errors import CheckpointError, RecipeError
from jepa_core.recipes.tables import Recipe
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Watch
from jepa_core.watch.verdict import BestCheckpoint
from jepa_plugins.grids.space import GridSpace
from tests.run_directory.runs import record_run

CPU = torch.device("cpu")
SHAPE = DataShape(context_length=3, space=GridSpace(side=8))


def parts_of(recipe: Recipe) -> Parts:
    return build_parts(recipe, SHAPE, CPU)


def states_of(parts: Parts, step: int) -> dict[str, Any]:
    """What a checkpoint holds, as far as a look at the model needs it, and some of the rest."""
    modules = {"online": parts.online, "target": parts.target, "losses": parts.losses}
    weights = {name: module.state_dict() for name, module in modules.items()}
    progress = {"step": step, "epoch": 1.5}
    return {**weights, "data_shape": SHAPE.state(), "progress": progress, "optimizer": {"moment": torch.ones(3)}}


def run_with(folder: Path, *steps: int, best: int | None = None) -> RunReader:
    """A run with empty checkpoints of these steps, and a verdict that names the best unless it is None."""
    path = record_run(folder / "a-20260101-000000")
    for step in steps:
        CheckpointFolder(path / CHECKPOINTS, keep=9).save(step, {})
    if best is not None:
        named = BestCheckpoint(step=best, epoch=1.0, why="highest retrieval")
        with RunWriter(path) as run:
            run.write_verdict(reach_verdict(Judge(Watch()), run=path, best=named))
    return RunReader(path)


def damage(run: RunReader, step: int) -> None:
    file = run.path / CHECKPOINTS / f"step-{step}" / "state.json"
    file.write_bytes(file.read_bytes() + b" ")


@pytest.mark.parametrize(("wanted", "step"), [("", 20), ("best", 20), ("newest", 30), ("10", 10)])
def test_the_best_is_meant_unless_another_is_asked_for(tmp_path: Path, wanted: str, step: int) -> None:
    chosen = choose_checkpoint(run_with(tmp_path, 10, 20, 30, best=20), wanted)
    assert chosen.checkpoint.step == step
    assert chosen.notes == ()


def test_without_a_verdict_the_newest_is_meant(tmp_path: Path) -> None:
    run = run_with(tmp_path, 10, 20)
    assert choose_checkpoint(run, "").checkpoint.step == 20
    with pytest.raises(CheckpointError, match="no verdict that names a best checkpoint"):
        choose_checkpoint(run, "best")


def test_a_best_that_was_not_kept_or_is_damaged_is_replaced_by_the_newest_and_said(tmp_path: Path) -> None:
    run = run_with(tmp_path, 10, 20, 30, best=20)
    damage(run, 20)
    chosen = choose_checkpoint(run, "")
    assert chosen.checkpoint.step == 30
    assert "step-20 cannot be used: state.json is damaged" in chosen.notes[0]
    (gone,) = choose_checkpoint(run_with(tmp_path / "other", 10, best=20), "").notes
    assert "no checkpoint of step 20" in gone


def test_what_was_asked_for_by_name_is_never_replaced(tmp_path: Path) -> None:
    run = run_with(tmp_path, 10, 20, best=20)
    damage(run, 20)
    for wanted in ("best", "20"):
        with pytest.raises(CheckpointError, match="step-20 cannot be used"):
            choose_checkpoint(run, wanted)
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 15 .* Steps there: 10, 20\."):
        choose_checkpoint(run, "15")
    with pytest.raises(RecipeError, match="'last' is no checkpoint"):
        choose_checkpoint(run, "last")


def test_a_damaged_newest_gives_way_to_the_one_before(tmp_path: Path) -> None:
    run = run_with(tmp_path, 10, 20)
    damage(run, 20)
    chosen = choose_checkpoint(run, "newest")
    assert chosen.checkpoint.step == 10
    assert chosen.notes[0].startswith("step-20: state.json is damaged")


def test_a_run_without_checkpoints_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"can be used: there is none\."):
        choose_checkpoint(run_with(tmp_path), "")


def test_the_weights_of_a_checkpoint_come_back_in_evaluation_mode(
    tmp_path: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    written = parts_of(tiny_recipe("train.seed=9"))
    checkpoint = CheckpointFolder(tmp_path, keep=2).save(3, states_of(written, 3))
    model = load_model(tiny_recipe(), checkpoint, CPU)
    for name, tensor in written.online.state_dict().items():
        assert model.objective.online.state_dict()[name].equal(tensor)
    assert (model.shape, model.epoch) == (SHAPE, 1.5)
    assert not model.objective.training


def test_a_checkpoint_that_does_not_fit_the_recipe_or_lacks_something_is_refused(
    tmp_path: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    states = states_of(parts_of(tiny_recipe()), 1)
    folder = CheckpointFolder(tmp_path, keep=9)
    with pytest.raises(CheckpointError, match="online does not fit the recipe"):
        load_model(tiny_recipe("projector.dim=10"), folder.save(1, states), CPU)
    for lacking, told in {
        "target": r"without \['target'\]",
        "data_shape": "does not say what data its weights",
    }.items():
        with pytest.raises(CheckpointError, match=told):
            load_model(tiny_recipe(), folder.save(1, {k: v for k, v in states.items() if k != lacking}), CPU)


def test_checkpoints_that_are_there_and_damaged_are_not_waited_for(tmp_path: Path) -> None:
    run = run_with(tmp_path, 10)
    damage(run, 10)
    with pytest.raises(CheckpointError) as caught:
        choose_checkpoint(run, "")
    assert "step-10: state.json is damaged" in str(caught.value)
    assert str(caught.value).endswith("Copy them anew from where the run was made, or train it again.")
