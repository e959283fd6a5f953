"""Resume: bitwise equal to never having stopped, because nothing is forgotten."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jepa_core.engine.checkpoint import load_checkpoint, same_tree
from jepa_core.engine.trainer import Trainer
from jepa_core.recipes.tables import Precision, Recipe
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from tests.engine.training import RARE, KeptRecord, RecipeMaker, a_trainer, lasting, snapshot, train

VARIED = (
    "train.epochs=2",
    "train.accumulate=2",
    "train.batch_size=8",
    "train.clip_norm=0.5",
    "encoder.dropout=0.1",
    "augmentation.colours=true",
    "losses.invariance.weight=0.1",
    "target.ema_decay_end=1.0",
    "schedule.warmup_steps=3",
    "checkpoint.every_steps=1",
    "diagnostics.log_every_steps=3",
    "diagnostics.every_steps=4",
    "diagnostics.validate_every_epochs=0.5",
    "watch.early_stop.patience=50",
)
"""Twelve steps with everything in them that a resumed run could get wrong."""


EARLY = (*VARIED, "watch.early_stop.patience=2", "watch.early_stop.min_delta=1000")
"""No validation after the first counts as better."""


class Straight:
    """A run that never stopped, and left a checkpoint at every step."""

    def __init__(self, recipe: Recipe, folder: Path, precision: Precision = "fp32") -> None:
        self.recipe = recipe
        self.precision = precision
        self.folder = folder
        self.record = KeptRecord()
        self.trainer = a_trainer(recipe, folder / "straight", record=self.record, precision=precision)
        self.ending = train(self.trainer)
        self.state = snapshot(self.trainer)

    def checkpoint(self, step: int) -> Checkpoint:
        return {found.step: found for found in self.trainer.checkpoints.all()}[step]

    def another(self, record: KeptRecord | None = None) -> Trainer:
        """A trainer of the same recipe that has not begun."""
        return a_trainer(self.recipe, self.folder / "resumed", record=record, precision=self.precision)

    def judge_rows_until(self, step: int, record: KeptRecord) -> None:
        """Let a resumed run's judge see what was recorded before, as a session does."""
        for row in self.record.rows:
            if row["step"] <= step:
                record.judge.observe(row)

    def rows_after(self, step: int) -> list[dict[str, float]]:
        return [lasting(row) for row in self.record.rows if row["step"] > step]


def test_a_resumed_run_equals_the_straight_one_wherever_it_stopped(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    straight = Straight(tiny_recipe(*VARIED), tmp_path)
    assert straight.ending.step == 12
    for stop in (1, 4, 5, 11):
        record = KeptRecord()
        resumed = straight.another(record)
        resumed.resume(straight.checkpoint(stop))
        assert train(resumed) == straight.ending
        assert same_tree(resumed.state.read(), straight.state), f"stopped after step {stop}"
        assert [lasting(row) for row in record.rows] == straight.rows_after(stop)


def test_what_starts_anew_is_marked_in_the_next_row_though_the_run_stops_before_it(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    parent = Straight(tiny_recipe(*VARIED), tmp_path)
    wider = tiny_recipe(*VARIED, "projector.dim=8")
    # Rows are written after steps 6, 8 and so on: the checkpoint of step 5 lies before the child's first.
    child = a_trainer(wider, tmp_path / "child")
    assert any(started.tensors for started in child.inherit(parent.checkpoint(4)))
    child.step(4)
    child.steps_done = 5
    child.save(final=True)
    record = KeptRecord()
    resumed = a_trainer(wider, tmp_path / "resumed", record=record)
    resumed.resume(child.checkpoints.all()[-1])
    assert resumed.steps_done == 5
    train(resumed)
    assert [row["step"] for row in record.rows if "anew" in row] == [6]


def is_equal_when_resumed(straight: Straight, stop: int, states: Mapping[str, Any]) -> bool:
    """Whether a run resumed from these states ends with the state and the rows of the straight one."""
    resumed = straight.another(record := KeptRecord())
    resumed.state.write(states)
    train(resumed)
    rows = [lasting(row) for row in record.rows]
    return same_tree(resumed.state.read(), straight.state) and rows == straight.rows_after(stop)


STATE = (
    "online",
    "target",
    "losses",
    "optimizer",
    "vote",
    "loss_scale",
    "meters",
    "progress",
)
"""Every entry of the registry but `data_shape`, which is checked and not changed."""


def test_every_entry_is_known_here(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    assert set(a_trainer(tiny_recipe(), tmp_path).state.names()) == {*STATE, "data_shape"}


def test_a_run_that_forgets_any_entry_differs(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    # With a loss so large the first steps overflow in fp16, and are skipped until the scale fits: a past to forget.
    recipe = tiny_recipe(*VARIED, "losses.info_nce.weight=50")
    straight, stop = Straight(recipe, tmp_path, precision="fp16"), 7
    assert straight.ending.kind == "finished"
    assert 0 < straight.state["vote"]["skipped"] < stop
    states, fresh = load_checkpoint(straight.checkpoint(stop)), straight.another().state.read()
    assert is_equal_when_resumed(straight, stop, states)
    unnoticed = [name for name in STATE if is_equal_when_resumed(straight, stop, states | {name: fresh[name]})]
    assert unnoticed == []


def test_the_best_validation_is_remembered(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    straight = Straight(tiny_recipe(*VARIED), tmp_path)
    resumed = straight.another()
    resumed.resume(straight.checkpoint(7))
    validations = [row for row in straight.record.rows if "val.retrieval.mrr" in row and row["step"] <= 7]
    best = max((row["val.retrieval.mrr"], -row["step"]) for row in validations)
    assert (resumed.best["mrr"], -resumed.best["step"]) == best


def test_patience_is_counted_over_a_resume(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    straight = Straight(tiny_recipe(*EARLY), tmp_path)
    assert straight.ending.kind == "early stop"
    assert straight.ending.step == 9
    resumed = straight.another(record := KeptRecord())
    resumed.resume(straight.checkpoint(7))
    straight.judge_rows_until(7, record)
    assert train(resumed) == straight.ending
    assert same_tree(resumed.state.read(), straight.state)


def test_a_run_killed_after_it_stopped_early_does_not_go_on(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    straight = Straight(tiny_recipe(*EARLY), tmp_path)
    resumed = straight.another(record := KeptRecord())
    resumed.resume(straight.checkpoint(straight.ending.step))
    straight.judge_rows_until(straight.ending.step, record)
    assert train(resumed) == straight.ending
    assert record.rows == []


def test_a_step_of_the_first_row_after_a_resume_takes_as_long_as_any(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    recipe = tiny_recipe(*RARE, "train.epochs=2", "checkpoint.every_steps=1", "diagnostics.log_every_steps=12")
    straight = Straight(recipe, tmp_path)
    record = KeptRecord()
    resumed = straight.another(record)
    resumed.resume(straight.checkpoint(10))
    # Of the two steps before the row, the first takes that long.
    record.after_heartbeat = lambda _: time.sleep(0.3)
    train(resumed)
    (row,) = record.rows
    assert row["time.step"] >= 0.15
    assert row["throughput.samples_per_second"] <= recipe.train.batch_size / 0.15
