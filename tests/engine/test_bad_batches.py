"""The batch in which something was not finite is kept: it gives the value again, and names its sequences."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jepa_core.contracts import LossTerm, Observations, Quantized
from jepa_core.engine.bad_batch import load_bad_batch
from jepa_core.engine.checkpoint import same_tree
from jepa_core.engine.trainer import Trainer
from jepa_core.errors import DataError
from jepa_core.run_directory.bad_batches import MOST_BATCHES, MOST_BYTES, BadBatch, bad_batches, write_bad_batch
from tests.engine.training import RARE, KeptRecord, RecipeMaker, a_trainer, snapshot, take_steps, train


def trained_until(
    recipe_of: RecipeMaker, folder: Path, *overrides: str, spoil: Callable[[Trainer], None], good_steps: int = 2
) -> tuple[Trainer, KeptRecord]:
    """A trainer that some good steps lie behind, and its end."""
    record = KeptRecord()
    record.run = folder
    trainer = take_steps(a_trainer(recipe_of(*RARE, *overrides), folder / "checkpoints", record=record), good_steps)
    trainer.step.meters.take()
    spoil(trainer)
    return trainer, record


def spoil_one_sequence(trainer: Trainer, place: int) -> None:
    """The quantizer is not finite for one sequence of every batch."""

    def spoil(_module: nn.Module, _inputs: Any, quantized: Quantized) -> Quantized:
        if quantized.values.dim() != 4:
            return quantized
        factor = torch.ones(len(quantized.values), 1, 1, 1)
        factor[place] = math.nan
        return dataclasses.replace(quantized, values=quantized.values * factor)

    trainer.parts.online.quantizer.register_forward_hook(spoil)


def spoil_loss(trainer: Trainer, steps: list[float]) -> None:
    """The loss is multiplied by these, one a call."""

    def spoil(_module: nn.Module, _inputs: Any, term: LossTerm) -> LossTerm:
        return dataclasses.replace(term, value=term.value * steps.pop(0)) if steps else term

    trainer.parts.losses["sigreg"].register_forward_hook(spoil)


def test_the_kept_batch_gives_the_value_again_and_is_the_one_that_its_keys_draw(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    overrides = ("train.accumulate=2", "train.epochs=2")
    trainer, record = trained_until(tiny_recipe, tmp_path, *overrides, spoil=lambda t: spoil_one_sequence(t, 5))
    assert train(trainer).kind == "non-finite"
    (kept,) = bad_batches(tmp_path)
    assert (kept.step, kept.micro, kept.seed, len(kept.sequences)) == (3, 0, 3, 2)
    assert record.evidence[-1]["batch"] == "bad_batches/step-3.json"

    batch, views = load_bad_batch(kept, 0)
    assert not torch.isfinite(trainer.step.objective(batch, views).total)
    drawn, _ = trainer.step.draw(kept.step - 1, 0)
    assert all(torch.equal(batch[name], drawn[name]) for name in drawn.tensors)

    # No augmentation: they are the split's own rows.
    rows = trainer.dataset.train.rows(torch.tensor(kept.sequences[0])).observations
    assert all(torch.equal(batch[name], rows[name]) for name in rows.tensors)
    assert kept.at_fault == (kept.sequences[0][5],)
    assert kept.tasks == (trainer.dataset.task_names[int(trainer.dataset.train.tasks[kept.at_fault[0]])],)


def test_a_batch_whose_own_values_are_not_finite_is_named_as_such(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    def spoil(trainer: Trainer) -> None:
        def augment(batch: Observations) -> Observations:
            grids = batch["grid"]
            weird = torch.zeros(len(batch), grids.shape[1], 1)
            weird[2, 1] = math.inf
            return Observations({**batch.tensors, "weight": weird})

        trainer.step.augment = augment
        spoil_loss(trainer, [math.nan] * 2)

    trainer, record = trained_until(tiny_recipe, tmp_path, spoil=spoil)
    assert train(trainer).kind == "non-finite"
    assert record.named("non-finite")[0].startswith("Step 3 was not finite: first weight of the batch (1 of ")
    (kept,) = bad_batches(tmp_path)
    assert kept.at_fault == (kept.sequences[0][2],)


def test_under_skip_the_skipped_steps_batch_is_kept_and_training_is_as_it_would_have_been(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    ends = []
    for keeps in (True, False):
        folder = tmp_path / str(keeps)
        folder.mkdir()
        trainer, record = trained_until(
            tiny_recipe, folder, "train.non_finite=skip", spoil=lambda t: spoil_loss(t, [math.nan, 1.0])
        )
        record.run = folder if keeps else None
        assert train(trainer).kind == "finished"
        ends.append(snapshot(trainer))
    assert same_tree(*ends)
    (kept,) = bad_batches(tmp_path / "True")
    assert kept.step == 3
    assert kept.cause.startswith("not found again")


def test_only_the_first_few_are_kept(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer, _ = trained_until(
        tiny_recipe, tmp_path, "train.non_finite=skip", spoil=lambda t: spoil_one_sequence(t, 0), good_steps=0
    )
    assert train(trainer).kind == "non-finite"
    assert [kept.step for kept in bad_batches(tmp_path)] == [1, 2, 3]
    assert len(list((tmp_path / "bad_batches").iterdir())) == 2 * MOST_BATCHES


def test_a_batch_that_cannot_be_kept_fails_nothing(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    (tmp_path / "bad_batches" / "step-3.json").mkdir(parents=True)
    trainer, record = trained_until(tiny_recipe, tmp_path, spoil=lambda t: spoil_one_sequence(t, 0))
    assert train(trainer).exit_code == 3
    assert "batch" not in record.evidence[-1]
    assert bad_batches(tmp_path) == ()


def test_state_that_is_not_finite_has_the_batch_of_the_last_step(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    def spoil(trainer: Trainer) -> None:
        def after_step(_statistics: Any) -> None:
            codebook: Tensor = trainer.parts.online.quantizer.get_buffer("codebook")
            codebook.fill_(math.nan)

        trainer.step._stateful["quantizer"].after_step = after_step  # type: ignore[assignment, method-assign]

    trainer, _ = trained_until(tiny_recipe, tmp_path, "train.epochs=1", spoil=spoil, good_steps=5)
    ending = train(trainer)
    assert (ending.kind, ending.exit_code) == ("non-finite", 3)
    (kept,) = bad_batches(tmp_path)
    assert kept.step == 6
    assert "codebook" in kept.cause


A_BATCH = BadBatch(step=7, cause="first output of encoder", sequences=((4, 2),), micro=0, at_fault=(2,), tasks=("a",))


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    assert write_bad_batch(tmp_path, A_BATCH, b"tensors") == "bad_batches/step-7.json"
    (read,) = bad_batches(tmp_path)
    assert read.tensors == "step-7.safetensors"
    assert (tmp_path / "bad_batches" / read.tensors).read_bytes() == b"tensors"
    assert read.rows == (2,)
    assert (read.step, read.cause, read.sequences, read.tasks) == (7, A_BATCH.cause, ((4, 2),), ("a",))


def test_tensors_that_are_too_large_are_left_out(tmp_path: Path) -> None:
    write_bad_batch(tmp_path, A_BATCH, b"0" * (MOST_BYTES + 1))
    (read,) = bad_batches(tmp_path)
    assert read.tensors == ""
    with pytest.raises(DataError, match="of step 7 were not kept"):
        load_bad_batch(read, 0)


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_write_that_fails_at_any_call_leaves_whole_batches_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    real = getattr(os, call)
    for allowed in range(20):
        folder = tmp_path / str(allowed)
        folder.mkdir()
        left = [allowed]

        def failing(*given: Any, left: list[int] = left, **named: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(28, "No space left on device")
            return real(*given, **named)

        with monkeypatch.context() as patched:
            patched.setattr(os, call, failing)
            try:
                write_bad_batch(folder, A_BATCH, b"tensors")
                is_written = True
            except OSError:
                is_written = False
        for read in bad_batches(folder):
            assert read.cause == A_BATCH.cause
            assert (folder / "bad_batches" / read.tensors).read_bytes() == b"tensors"
        assert not list(folder.rglob("*.tmp"))
        if is_written:
            return
    pytest.fail("never written")


DAMAGED = {
    "empty": b"", "no object": b"[1]", "no JSON": b"{", "not UTF-8": b"\xff\xfe", "deep": b"[" * 100_000,
    "endless": b" " * (5 << 20),
    "odd": b'{"epoch": "x", "micro": true, "sequences": {"a": 1}, "at_fault": [1.5, "x", -3], "tasks": [1], '
    b'"tensors": "../../x"}',
}  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_or_hostile_file_is_left_out_or_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad_batches").mkdir()
    (tmp_path / "bad_batches" / "step-3.json").write_bytes(content)
    (tmp_path / "bad_batches" / "step-x.json").write_bytes(b"{}")
    for read in bad_batches(tmp_path):
        assert (read.step, read.rows, read.tasks, read.tensors, read.micro) == (3, (), (), "", None)
