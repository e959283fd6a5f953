"""A child of a rollback: what is handed down, what starts anew, and that a change of nothing changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import IO, Any

import attrs
import orjson
import pytest
import torch

from jepa_core.engine.checkpoint import CheckpointFolder, load_checkpoint, same_tree
from jepa_core.engine.opening import Conclusion
from jepa_core.engine.run_state import try_child
from jepa_core.engine.session import train_recipe
from jepa_core.engine.stored_model import choose_checkpoint, load_model
from jepa_core.errors import CheckpointError, RecipeError, RunDirectoryError
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.reading import load_recipe, with_scenarios
from jepa_core.registry import installed
from jepa_core.rollback.child import Child, make_child
from jepa_core.rollback.lineage import read_lineage
from jepa_core.rollback.planning import Rollback, plan_rollback
from jepa_core.run_directory import stored_checkpoints
from jepa_core.run_directory.baseline_runs import resolve_baseline
from jepa_core.run_directory.kept_checkpoints import kept_checkpoints
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import Status, write_status
from jepa_core.watch.rules import Baseline
from tests.engine.test_session import Watcher
from tests.engine.training import lasting

EVERY_STEP = ("checkpoint.every_steps=1", "checkpoint.keep=100", "train.epochs=2", "encoder.dropout=0.1")
RULE = "watch.rollback=[{id='R', title='too far', when='step > 6.5', set={quantizer={codes=12}}}]"


@pytest.fixture
def parent(with_every_step: Path) -> Path:
    """The run that is rolled back here."""
    return with_every_step


def start(recipe_file: Path, *overrides: str, **more: Any) -> Conclusion:
    registry = installed()
    loaded = with_scenarios(load_recipe(recipe_file, overrides=overrides, registry=registry), registry)
    runs_dir = recipe_file.parent / "runs"
    return train_recipe(loaded, device="cpu", runs_dir=runs_dir, resume=None, open_screen=Watcher, **more)


def plan(parent: Path, **asked: Any) -> Rollback:
    return plan_rollback(parent, installed(), try_child=try_child, **asked)


def child_of(parent: Path, **asked: Any) -> Child:
    return make_child(plan(parent, **asked))


def train_on(run: Path, **more: Any) -> Conclusion:
    loaded = load_recipe(run / "recipe.toml", registry=installed())
    return train_recipe(loaded, device="cpu", runs_dir=run.parent, resume=run, open_screen=Watcher, **more)


def final_state(run: Path) -> dict[str, Any]:
    return load_checkpoint(CheckpointFolder(run / "checkpoints", keep=2).all()[-1])


def status_of(run: Path) -> Status:
    status = RunReader(run).status()
    assert status is not None
    return status


def rows(run: Path) -> list[dict[str, float]]:
    return [lasting(row) for row in RunReader(run).rows()]


def test_a_child_without_an_effective_change_equals_the_straight_run_to_the_last_bit(parent: Path) -> None:
    rollback = plan(parent, to=5, set={"aggregator": {"kind": "attention"}, "quantizer": {"codes": 8}})
    assert rollback.plan.changes == ()
    assert "the recipe stays as it is" in rollback.plan.notes[0]
    child = make_child(rollback)
    assert child.step == 5
    assert train_on(child.path).exit_code == 0
    assert same_tree(final_state(parent), final_state(child.path))
    assert rows(parent) == rows(child.path)
    diagnostics = [(run / "diagnostics.jsonl").read_text() for run in (parent, child.path)]
    assert diagnostics[0] == diagnostics[1]


def test_what_has_another_shape_starts_anew_and_the_rest_goes_on(parent: Path) -> None:
    child = child_of(parent, to=5, set={"quantizer": {"codes": 12}, "aggregator": {"kind": "mean"}}).path
    handed_down = load_checkpoint(stored_checkpoints.Checkpoint(child / "checkpoints" / "step-5", 5))
    train_on(child)
    told = next(event for event in RunReader(child).events() if event.name == "rolled back from")
    assert any("of quantizer start anew: other shape" in part for part in told.evidence["anew"])
    assert "aggregator has no use for 2 tensors of the checkpoint" in told.evidence["anew"]
    state = final_state(child)
    codebook = state["online"]["quantizer.codebook"].flatten(0, -2)
    assert codebook.shape[0] == 12
    # Each of the twelve codes began at a token of the data, none at zero.
    assert (codebook.norm(dim=1) > 0).all()
    # Rules begin anew with the child's first row, which says so, and with no other.
    assert [int(row["step"]) for row in RunReader(child).rows() if "anew" in row] == [6]
    # The moments of parameters that were handed down went on counting, step 5 and seven more.
    moments = state["optimizer"]
    assert {int(moment["step"]) for moment in moments.values()} == {12}
    assert not any(name.startswith("aggregator") for name in moments)
    assert any(name.startswith("aggregator") for name in handed_down["optimizer"])


@pytest.mark.parametrize(
    "change", [{"encoder": {"dim": 24}}, {"losses": {"info_nce": {"queue": 8}}}, {"aggregator": {"kind": "mean"}}]
)
def test_a_child_of_another_model_has_no_best_but_its_own(parent: Path, change: dict[str, Any]) -> None:
    """What its parent reached stands in its rows, but the checkpoint of that is none that the child can load."""
    with_best(parent, step=6, best=3, mrr=0.99)
    same = child_of(parent, to=6, set={"train": {"clip_norm": 1.0}}).path
    assert kept_steps(same) == [3, 6], "a child of the same model has its parent's best"
    train_on(same)
    assert final_state(same)["progress"]["best"]["step"] == 3

    shutil.rmtree(same)
    write_status(parent, attrs.evolve(status_of(parent), state="finished", child=""))
    other = child_of(parent, to=6, set=change).path
    assert kept_steps(other) == [6]
    conclusion = train_on(other)
    best = final_state(other)["progress"]["best"]["step"]
    assert best > 6
    assert conclusion.verdict is not None
    assert conclusion.verdict.best is not None
    assert conclusion.verdict.best.step > 6
    listed = kept_checkpoints(other, first_sign=None, best=conclusion.verdict.best.step)
    assert [each.step for each in listed if each.best] == [conclusion.verdict.best.step]
    chosen = choose_checkpoint(RunReader(other), "best").checkpoint
    recipe = load_recipe(other / "recipe.toml", registry=installed()).recipe
    assert load_model(recipe, chosen, torch.device("cpu")).epoch > 1


def kept_steps(run: Path) -> list[int]:
    return [checkpoint.step for checkpoint in stored_checkpoints.stored_checkpoints(run / "checkpoints")]


def with_best(run: Path, *, step: int, best: int, mrr: float) -> None:
    """A run whose checkpoint says that an earlier one was its best, as its rows do."""
    folder = CheckpointFolder(run / "checkpoints", keep=100)
    state = load_checkpoint(stored_checkpoints.Checkpoint(run / "checkpoints" / f"step-{step}", step))
    epoch = best / 6
    folder.save(step, {**state, "progress": {**state["progress"], "best": {"step": best, "epoch": epoch, "mrr": mrr}}})
    lines = [orjson.loads(line) for line in (run / "metrics.jsonl").read_bytes().splitlines()]
    told = [
        row | {"val.retrieval.mrr": mrr, "val.retrieval.top1": mrr} if row["step"] == best else row for row in lines
    ]
    (run / "metrics.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in told))


def test_a_rule_takes_a_run_back_only_as_often_as_the_recipe_allows(tiny_recipe_file: Path) -> None:
    first = start(tiny_recipe_file, *EVERY_STEP, RULE, auto_rollback=True)
    assert (first.ending.state, first.verdict, first.exit_code) == ("rolled_back", None, 0)
    assert first.child is not None
    second = train_on(first.child, auto_rollback=True)
    assert second.child is None
    told = [event.message for event in RunReader(first.child).events() if event.name == "not rolled back"]
    assert told == ["R is flagged only: watch.max_rollbacks = 1 is used up."]


def test_a_rule_that_would_change_nothing_any_more_is_flagged_only(tiny_recipe_file: Path) -> None:
    first = start(tiny_recipe_file, *EVERY_STEP, RULE, "watch.max_rollbacks=3", auto_rollback=True)
    assert first.child is not None
    assert train_on(first.child, auto_rollback=True).child is None
    told = [event.message for event in RunReader(first.child).events() if event.name == "not rolled back"]
    assert len(told) == 1
    assert "the change is in its recipe already" in told[0]
    lineage = read_lineage(first.child)
    assert lineage is not None
    assert lineage.generation == 1


def test_without_leave_a_rule_only_flags(tiny_recipe_file: Path) -> None:
    conclusion = start(tiny_recipe_file, *EVERY_STEP, RULE)
    assert (conclusion.ending.kind, conclusion.child) == ("finished", None)


def test_a_rollback_comes_before_an_abort_of_the_same_row(tiny_recipe_file: Path) -> None:
    abort = "watch.abort=[{id='enough', when='step > 6.5'}]"
    conclusion = start(tiny_recipe_file, *EVERY_STEP, RULE, abort, auto_rollback=True)
    assert conclusion.ending.state == "rolled_back"
    assert (conclusion.path / "checkpoints" / "step-7").is_dir()


def test_a_firing_that_was_handed_down_does_not_take_the_child_back(tiny_recipe_file: Path) -> None:
    parent = start(tiny_recipe_file, *EVERY_STEP, RULE).path
    child = child_of(parent, to=9, set={"train": {"clip_norm": 1.0}}).path
    assert ("rollback R", 7.0) in [(event.name, event.step) for event in RunReader(child).events()]
    conclusion = train_on(child, auto_rollback=True)
    assert conclusion.ending.kind == "finished"
    assert conclusion.verdict is not None
    assert not conclusion.verdict.next.startswith("jepa rollback")


def test_a_grandchild_finds_a_healthy_checkpoint_at_its_grandparent(tiny_recipe_file: Path) -> None:
    parent = start(tiny_recipe_file, *EVERY_STEP, RULE).path
    child = child_of(parent, to=9, set={"train": {"clip_norm": 1.0}}).path
    train_on(child)
    # The best checkpoint so far was handed down too, where it was another.
    shutil.rmtree(child / "checkpoints" / "step-6", ignore_errors=True)
    rollback = plan(child, scenario="R")
    assert rollback.checkpoint is not None
    assert (rollback.checkpoint.path.parents[1].name, rollback.plan.checkpoint_step) == (parent.name, 6)
    grandchild = make_child(rollback).path
    lineage = read_lineage(grandchild)
    assert lineage is not None
    assert lineage.generation == 2
    assert [past.parent for past in lineage.story] == [parent.name, child.name]
    assert train_on(grandchild).exit_code == 0


def test_flags_of_the_parent_are_recorded_and_kept(parent: Path) -> None:
    assert RunReader(parent).environment()["overrides"] == list(EVERY_STEP)
    child = child_of(parent, to=3, set={"train": {"clip_norm": 1.0}}).path
    environment = RunReader(child).environment()
    assert environment["overrides"] == list(EVERY_STEP)
    assert environment["data_fingerprint"] == RunReader(parent).environment()["data_fingerprint"]


def test_a_child_is_no_run_of_its_recipe_for_a_baseline(parent: Path) -> None:
    train_on(child_of(parent, to=3, set={"train": {"clip_norm": 1.0}}).path)
    assert resolve_baseline(Baseline(recipe="tiny"), parent.parent).values is None


def test_a_change_that_makes_no_recipe_leaves_nothing(parent: Path) -> None:
    before = sorted(parent.parent.rglob("*"))
    with pytest.raises(RecipeFaultsError) as refused:
        child_of(parent, to=3, set={"aggregator": {"kind": "nope"}, "train": {"epochs": 0}})
    assert len(refused.value.faults) == 2
    assert sorted(parent.parent.rglob("*")) == before


@pytest.mark.parametrize("change", [{"batch_size": 32}, {"batch_size": 8}, {"accumulate": 2}, {"batch_size": 12}])
def test_a_child_of_other_batches_goes_on_where_its_parent_was_in_the_data(
    parent: Path, change: dict[str, Any]
) -> None:
    """Not where it was in its steps: of half as many it would train nothing, of twice as many an epoch anew."""
    to = status_of(parent).total_steps // 2
    (before,) = [row["epoch"] for row in rows(parent) if row["step"] == to]
    child = child_of(parent, to=to, set={"train": change})
    assert train_on(child.path).exit_code == 0
    epochs = [before, *(row["epoch"] for row in rows(child.path) if row["step"] > to)]
    assert epochs == sorted(epochs)
    train = RunReader(child.path).recipe()["train"]
    sequences = 96 // train["batch_size"] * train["batch_size"]
    assert epochs[-1] > train["epochs"] - train["batch_size"] * train["accumulate"] / sequences
    assert epochs[-1] <= train["epochs"]
    told = [event.message for event in RunReader(child.path).events() if event.name == "course changed"]
    assert len(told) == 1
    assert "share of the run's sequences" in told[0]


@pytest.mark.parametrize("change", [{"epochs": 1}, {"lr": 1e-3}])
def test_a_child_that_would_be_over_at_once_is_refused(parent: Path, change: dict[str, Any]) -> None:
    steps = status_of(parent).total_steps
    before = sorted(parent.parent.rglob("*"))
    to = steps if "lr" in change else steps // 2
    table = {"optimizer": change} if "lr" in change else {"train": change}
    with pytest.raises(RecipeError, match=f"Step {to} lies at the changed run's end or beyond it: .* nothing would be"):
        child_of(parent, to=to, set=table)
    assert sorted(parent.parent.rglob("*")) == before
    child = child_of(parent, to=to - 1, set=table)
    assert train_on(child.path).exit_code == 0
    assert status_of(child.path).step > to - 1


def test_a_parent_that_another_process_trains_is_left_alone(parent: Path) -> None:
    rollback = plan(parent, to=3, set={"train": {"clip_norm": 1.0}})
    with RunLock(parent), pytest.raises(RunDirectoryError, match="is in use by process"):
        make_child(rollback)
    assert len(list(parent.parent.iterdir())) == 1


def test_a_copy_that_does_not_verify_leaves_nothing(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rollback = plan(parent, to=3, set={"train": {"clip_norm": 1.0}})
    copy = shutil.copyfileobj

    def cut_short(source: IO[bytes], target: IO[bytes], length: int) -> None:
        copy(source, target, length)
        target.truncate(10)

    monkeypatch.setattr(shutil, "copyfileobj", cut_short)
    with pytest.raises(CheckpointError, match="does not verify"):
        make_child(rollback)
    assert list(parent.parent.iterdir()) == [parent]
    assert RunReader(parent).state() == "finished"


def test_a_parent_that_cannot_be_marked_gets_no_child(parent: Path) -> None:
    rollback = plan(parent, to=3, set={"train": {"clip_norm": 1.0}})
    (parent / "status.json").unlink()
    (parent / "status.json").mkdir()
    with pytest.raises(RunDirectoryError, match="cannot be written"):
        make_child(rollback)
    assert list(parent.parent.iterdir()) == [parent]


def test_a_batch_that_the_data_has_not_is_refused_before_the_parent_is_marked(parent: Path) -> None:
    with pytest.raises(RecipeError, match="batch_size is 1,000, but the run has 96 training sequences"):
        child_of(parent, to=3, set={"train": {"batch_size": 1000}})
    assert list(parent.parent.iterdir()) == [parent]
    assert RunReader(parent).state() == "finished"


def test_a_child_that_was_deleted_leaves_its_parent_to_go_on(parent: Path) -> None:
    child = child_of(parent, to=3, set={"train": {"clip_norm": 1.0}}).path
    with pytest.raises(RunDirectoryError, match=f"(?s)jepa run --resume {child}.*after all delete {child}"):
        train_on(parent)
    shutil.rmtree(child)
    assert train_on(parent).exit_code == 0
    assert status_of(parent).child == ""
    again = child_of(parent, to=3, set={"train": {"clip_norm": 1.0}}).path
    assert status_of(parent).child == again.name
