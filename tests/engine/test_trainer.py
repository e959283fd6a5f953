"""The loop: what is due when, what a row holds, and what is kept."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from jepa_core.engine.checkpoint import CheckpointFolder, same_tree
from jepa_core.engine.nulls import ChosenNulls
from jepa_core.errors import CheckpointError
from jepa_core.metrics import directed
from jepa_core.recipes.declared_metrics import declared_metrics, undeclared
from jepa_core.registry import installed
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from tests.engine.training import RARE, KeptRecord, RecipeMaker, a_trainer, lasting, snapshot, take_steps, train


def test_rows_come_when_they_are_due_and_at_the_end(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    record = KeptRecord()
    recipe = tiny_recipe(
        "diagnostics.log_every_steps=4", "diagnostics.every_steps=5", "diagnostics.validate_every_epochs=0.5"
    )
    ending = train(a_trainer(recipe, tmp_path, record=record))
    assert [row["step"] for row in record.rows] == [1, 3, 4, 5, 6]
    assert [row["step"] for row in record.rows if "rank.context" in row] == [5, 6]
    assert [row["step"] for row in record.rows if "val.retrieval.mrr" in row] == [3, 6]
    assert (ending.kind, ending.step, ending.exit_code, ending.reason) == ("finished", 6, 0, "all epochs are done")
    assert record.rows[-1]["epoch"] == 1


def test_labels_are_probed_in_every_validation_row_and_beside_what_learned_nothing_in_the_first(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    record = KeptRecord()
    recipe = tiny_recipe("data.num_sequences=240", "data.validation_share=0.3", "train.epochs=2")
    trainer = a_trainer(recipe, tmp_path, record=record)
    trainer.rank_nulls(ChosenNulls.of(recipe, installed()))
    train(trainer)
    first, second = (row for row in record.rows if "val.retrieval.mrr" in row)
    kinds = ("knn", "linear")
    for row in (first, second):
        assert {f"val.probe.rule.{kind}" for kind in kinds} <= row.keys()
    beside = {f"val.probe.null.{name}.rule.{kind}" for name in ("cells", "untrained") for kind in kinds}
    assert {name for name in first if name.startswith("val.probe.null.")} == beside
    assert not any(name.startswith("val.probe.null.") for name in second)
    metrics = declared_metrics(recipe)
    assert undeclared({name for row in record.rows for name in row}, metrics) == []
    assert list(directed([*beside, "val.probe.rule.knn"], metrics)) == ["val.probe.rule.knn"]


def test_a_row_is_the_mean_of_the_steps_since_the_last_one(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    rows = []
    for every in (1, 3):
        record = KeptRecord()
        train(a_trainer(tiny_recipe(*RARE, f"diagnostics.log_every_steps={every}"), tmp_path, record=record))
        rows.append([row["loss.total"] for row in record.rows])
    each, thirds = rows
    assert thirds == pytest.approx([each[0], sum(each[1:3]) / 2, sum(each[3:]) / 3])


def test_whoever_watches_hears_of_every_micro_batch(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    class Heard(KeptRecord):
        def heartbeat(self, step: int, epoch: float) -> None:
            told.append((step, epoch))

    told: list[tuple[int, float]] = []
    recipe = tiny_recipe("train.batch_size=8", "train.accumulate=4", "train.epochs=1")
    ending = train(a_trainer(recipe, tmp_path, record=Heard()))
    assert ending.step == 3
    assert [step for step, _ in told] == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert [epoch for _, epoch in told] == pytest.approx([done / 12 for done in range(1, 13)])


def test_how_often_is_looked_does_not_change_what_is_learnt(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    often, rarely = (a_trainer(tiny_recipe("encoder.dropout=0.1", *more), tmp_path) for more in ([], [*RARE]))
    for trainer in (often, rarely):
        train(trainer)
    assert same_tree(snapshot(often, "meters", "progress"), snapshot(rarely, "meters", "progress"))


def test_the_codebook_starts_from_tokens_of_training_contexts(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer = a_trainer(tiny_recipe("quantizer.initial=data"), tmp_path)
    trainer.initialise()
    context = trainer.step.batches.sample(1024)[:, :-1]
    with torch.no_grad():
        tokens = trainer.parts.online.encode(context.flatten())
    real = tokens.values[tokens.mask]
    codebook = trainer.parts.online.quantizer.get_buffer("codebook")[0]
    assert all(torch.isclose(real, code, atol=1e-5).all(-1).any() for code in codebook)


def test_the_best_validation_keeps_its_checkpoint(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    record = KeptRecord()
    recipe = tiny_recipe("train.epochs=5", "checkpoint.keep=2", "diagnostics.log_every_steps=1000", *RARE[:1])
    trainer = a_trainer(recipe, tmp_path, record=record)
    trainer.checkpoints = CheckpointFolder(tmp_path, keep=2)
    train(trainer)
    validated = [row for row in record.rows if "val.retrieval.mrr" in row]
    best = max(validated, key=lambda row: (row["val.retrieval.mrr"], -row["step"]))
    assert trainer.best == {"step": best["step"], "epoch": best["epoch"], "mrr": best["val.retrieval.mrr"]}
    assert {checkpoint.step for checkpoint in trainer.checkpoints.all()} == {24, 30, best["step"]}


class FullDisk(CheckpointFolder):
    """Refuses to save at some steps."""

    def __init__(self, folder: Path, refused: tuple[int, ...]) -> None:
        super().__init__(folder, keep=3)
        self.refused = refused

    def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
        if step in self.refused:
            raise CheckpointError(f"Checkpoint step-{step} could not be written: No space left on device.")
        return super().save(step, states)


def test_a_disk_that_is_full_for_a_while_is_told_of_and_training_goes_on(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    record = KeptRecord()
    trainer = a_trainer(tiny_recipe("checkpoint.every_steps=2"), tmp_path, record=record)
    trainer.checkpoints = FullDisk(tmp_path, refused=(2, 4))
    assert train(trainer).kind == "finished"
    assert len(record.named("checkpoint failed")) == 2
    assert [checkpoint.step for checkpoint in trainer.checkpoints.all()] == [6]


def test_a_last_checkpoint_that_cannot_be_written_is_an_error(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer = a_trainer(tiny_recipe(), tmp_path)
    trainer.checkpoints, trainer.saving.pause = FullDisk(tmp_path, refused=(6,)), 0.0
    with pytest.raises(CheckpointError, match="No space left"):
        train(trainer)


class SlowDisk(CheckpointFolder):
    """Takes a second for each save."""

    def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
        time.sleep(1)
        return super().save(step, states)


def test_the_time_that_a_save_waits_for_the_one_before_is_not_counted_as_the_steps(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    record = KeptRecord()
    trainer = a_trainer(tiny_recipe(*RARE, "checkpoint.every_steps=2"), tmp_path, record=record)
    trainer.checkpoints = SlowDisk(tmp_path, keep=3)
    started = time.monotonic()
    train(trainer)
    assert time.monotonic() - started > 3
    assert all(row["time.step"] < 0.8 for row in record.rows)


def test_what_rows_call_the_same_has_the_same_value_in_two_runs(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    rows = []
    for _ in range(2):
        record = KeptRecord()
        train(a_trainer(tiny_recipe(), tmp_path, record=record))
        rows.append([lasting(row) for row in record.rows])
    for one, other in itertools.zip_longest(*rows):
        assert one == other


def test_time_spent_on_diagnostics_is_not_counted_as_time_for_data(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer = take_steps(a_trainer(tiny_recipe(), tmp_path), 1)
    trainer.step.meters.take()
    trainer.diagnostics(1)
    assert trainer.step.meters.take().keys() == {"lr", "target.ema_decay"}
