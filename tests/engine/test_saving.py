"""Saving goes on whatever a disk does, for a while; what is not finite is never saved."""

from __future__ import annotations

import errno
import math
import resource
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from jepa_core.engine.checkpoint import CheckpointFolder, load_checkpoint
from jepa_core.engine.checkpoint_writing import CheckpointWriting
from jepa_core.engine.saving import Saving, first_not_finite
from jepa_core.engine.trainer import Trainer
from jepa_core.errors import CheckpointError
from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.line_appender import FAILURES_IN_A_ROW, LEAST_SECONDS
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from jepa_core.run_directory.writing import LAST_TRIES
from tests.engine.training import CPU, RARE, KeptRecord, RecipeMaker, a_trainer, take_steps, train

PLACES: dict[str, Callable[[Trainer], Tensor]] = {
    "online.encoder.norm.weight": lambda t: t.step.parameters["encoder.norm.weight"],
    "target.projector.linear0.bias": lambda t: t.parts.target.get_parameter("projector.linear0.bias"),
    "online.quantizer.codebook": lambda t: t.parts.online.quantizer.get_buffer("codebook"),
    "losses.info_nce.queue": lambda t: t.parts.losses["info_nce"].get_buffer("queue"),
    "optimizer.encoder.norm.weight.exp_avg": lambda t: t.step.optimizer.state()["encoder.norm.weight"]["exp_avg"],
    "loss_scale.scale": lambda t: t.step.loss_scale.scale,
}


@pytest.mark.parametrize("value", [math.nan, math.inf], ids=str)
@pytest.mark.parametrize("name", PLACES)
def test_state_that_is_not_finite_is_not_saved_and_its_first_tensor_is_named(
    tiny_recipe: RecipeMaker, tmp_path: Path, name: str, value: float
) -> None:
    record = KeptRecord()
    trainer = take_steps(a_trainer(tiny_recipe(*RARE), tmp_path, record=record), 1)
    trainer.save()
    trainer.settle()
    with torch.no_grad():
        PLACES[name](trainer).view(-1)[-1:].fill_(value)
    trainer.steps_done = 2
    trainer.save()
    trainer.settle()
    (message,) = record.named("state not finite")
    assert f"first {name}" in message
    assert "after step 2" in message
    assert record.events[-1][1] == "critical"
    assert trainer.checkpoints.newest() == (Checkpoint(tmp_path / "step-1", 1), [])


def test_a_run_whose_last_state_is_not_finite_is_aborted_and_keeps_the_checkpoint_before(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    def spoil(step: int) -> None:
        if step == 5:
            trainer.step.optimizer.state()["encoder.norm.weight"]["exp_avg"].fill_(math.nan)

    record = KeptRecord()
    record.after_heartbeat = spoil
    trainer = a_trainer(tiny_recipe(*RARE, "checkpoint.every_steps=4"), tmp_path, record=record)
    ending = train(trainer)
    assert (ending.kind, ending.state, ending.exit_code) == ("non-finite", "aborted", 3)
    assert "online.encoder.norm.weight" in ending.reason
    assert [found.step for found in trainer.checkpoints.all()] == [4]


def test_a_run_whose_states_are_not_finite_for_long_is_aborted_as_the_documents_say(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    def spoil(step: int) -> None:
        # The moments alone, which no loss shows: a learning rate of 0 keeps them out of the weights.
        trainer.step.optimizer.state()["encoder.norm.weight"]["exp_avg"].fill_(math.nan)

    record = KeptRecord()
    record.after_heartbeat = spoil
    overrides = ("checkpoint.every_steps=1", "train.epochs=4", "train.non_finite=skip")
    trainer = a_trainer(tiny_recipe(*RARE, *overrides), tmp_path, record=record)
    trainer.step.optimizer.step = lambda *_: None  # type: ignore[method-assign]
    ending = train(trainer)
    assert (ending.kind, ending.state, ending.exit_code) == ("non-finite", "aborted", 3)
    assert len(record.named("state not finite")) == FAILURES_IN_A_ROW
    assert "exp_avg" in ending.reason


def test_figures_of_a_skipped_step_are_saved_though_they_are_not_finite(tmp_path: Path) -> None:
    record, folder = KeptRecord(), CheckpointFolder(tmp_path, keep=2)
    saving = Saving(CPU, record, built={})
    saving.write_last(1, {"meters": {"sums": torch.tensor([math.nan])}}, folder, best=None, prune=True)
    assert [found.step for found in folder.all()] == [1]


def test_what_is_not_finite_from_the_start_is_meant_so(tmp_path: Path) -> None:
    record, folder = KeptRecord(), CheckpointFolder(tmp_path, keep=2)
    state = {"online": {"mask": torch.tensor([0, -math.inf]), "lowest": math.inf}}
    Saving(CPU, record, built=state).write_last(1, state, folder, best=None, prune=True)
    assert math.isinf(load_checkpoint(folder.all()[0])["online"]["mask"][1])


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.float8_e5m2], ids=str
)
def test_every_type_of_number_is_looked_at(tmp_path: Path, dtype: torch.dtype) -> None:
    record, folder = KeptRecord(), CheckpointFolder(tmp_path, keep=2)
    saving = Saving(CPU, record, built={})
    good, bad = (torch.tensor([1.0, last]).to(dtype) for last in (2.0, math.nan))
    saving.write_last(1, {"online": {"w": good, "none": torch.zeros(0)}}, folder, best=None, prune=True)
    with pytest.raises(CheckpointError, match=r"first online\.w \(1 of 2 elements"):
        saving.write_last(2, {"online": {"w": bad}}, folder, best=None, prune=True)


class FullDisk(CheckpointFolder):
    """Refuses the first so many times from a step on."""

    def __init__(self, folder: Path, times: int, since: int = 0) -> None:
        super().__init__(folder, keep=3)
        self.times = times
        self.since = since

    def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
        if step >= self.since and self.times:
            self.times -= 1
            raise CheckpointError(f"Checkpoint step-{step} could not be written: No space left on device.")
        return super().save(step, states)


def after_refusals(recipe_of: RecipeMaker, folder: Path, times: int, since: int = 0) -> tuple[Trainer, KeptRecord]:
    """A trainer of 12 steps that saves after each, on a disk that refuses so many times."""
    record = KeptRecord()
    trainer = a_trainer(recipe_of(*RARE, "checkpoint.every_steps=1", "train.epochs=2"), folder, record=record)
    trainer.checkpoints, trainer.saving.pause = FullDisk(folder, times, since), 0.0
    return trainer, record


def test_a_run_that_cannot_save_for_long_ends_and_says_which_checkpoint_is_left(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    trainer, record = after_refusals(tiny_recipe, tmp_path, 100, since=3)
    times = iter(range(100))
    trainer.saving.clock = Clock(monotonic=lambda: next(times) * LEAST_SECONDS)
    with pytest.raises(CheckpointError, match=r"5 checkpoints in a row.* The newest is of step 2\. .*No space left"):
        train(trainer)
    assert len(record.named("checkpoint failed")) == FAILURES_IN_A_ROW
    assert trainer.steps_done < 12
    assert [found.step for found in trainer.checkpoints.all()] == [1, 2]


def test_a_run_goes_on_with_a_disk_that_refuses_often_but_not_for_long(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    trainer, record = after_refusals(tiny_recipe, tmp_path, FAILURES_IN_A_ROW + 2, since=3)
    assert train(trainer).kind == "finished"
    assert len(record.named("checkpoint failed")) == FAILURES_IN_A_ROW + 2
    assert [found.step for found in trainer.checkpoints.all()] == [10, 11, 12]


def test_of_many_failures_in_a_row_few_are_told_of(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    record, folder = KeptRecord(), FullDisk(tmp_path, 50)
    saving = Saving(CPU, record, built={})
    for step in range(1, 52):
        saving.begin(step, {}, folder, best=None, prune=False)
    saving.settle()
    told = record.named("checkpoint failed")
    assert len(told) == 8 + 2
    assert "number 32 in a row" in told[-1]
    assert record.named("checkpoint") == ["Checkpoint at step 51."]


def test_a_run_goes_on_with_a_disk_that_refused_almost_as_long(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer, record = after_refusals(tiny_recipe, tmp_path, FAILURES_IN_A_ROW - 1, since=3)
    assert train(trainer).kind == "finished"
    assert len(record.named("checkpoint failed")) == FAILURES_IN_A_ROW - 1
    assert [found.step for found in trainer.checkpoints.all()] == [10, 11, 12]


def test_the_last_checkpoint_is_tried_again(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer, record = after_refusals(tiny_recipe, tmp_path, LAST_TRIES - 1, since=12)
    assert train(trainer).kind == "finished"
    assert len(record.named("checkpoint failed")) == LAST_TRIES - 1
    assert trainer.checkpoints.all()[-1].step == 12


def test_a_limit_of_file_sizes_is_told_of_leaves_no_stump_and_training_goes_on(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def tighten(step: int) -> None:
        soft = 4096 if 2 <= step < 4 else limits[0]
        # A write that is under way belongs to the limit that it began under.
        trainer.saving.settle()
        if step == 4:
            names.extend(path.name for path in tmp_path.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, limits[1]))

    names: list[str] = []
    record = KeptRecord()
    record.after_heartbeat = tighten
    trainer = a_trainer(tiny_recipe(*RARE, "checkpoint.every_steps=1"), tmp_path, record=record)
    try:
        ending = train(trainer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ending.kind == "finished"
    failed = record.named("checkpoint failed")
    assert failed
    assert all("File too large" in message and "tensors.safetensors" in message for message in failed)
    assert "step-1" in names
    assert not any(name.startswith(".") for name in names)
    assert trainer.checkpoints.newest()[0] == Checkpoint(tmp_path / "step-6", 6)


def test_whatever_goes_wrong_with_old_checkpoints_the_new_one_counts(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    class Stuck(CheckpointFolder):
        def prune(self, best_step: int | None, healthy_before: Iterable[float] = ()) -> list[int]:
            raise OSError(errno.EIO, "Input/output error")

    record = KeptRecord()
    trainer = a_trainer(tiny_recipe(*RARE, "checkpoint.every_steps=1"), tmp_path, record=record)
    trainer.checkpoints = Stuck(tmp_path, keep=2)
    assert train(trainer).kind == "finished"
    assert len(record.named("checkpoint")) == len(record.named("checkpoints not deleted")) == 6
    assert "Input/output error" in record.named("checkpoints not deleted")[0]


def test_a_state_of_which_no_copy_can_be_made_is_a_write_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("cannot allocate memory")

    writing = CheckpointWriting(CPU)
    monkeypatch.setattr(torch, "cat", refuse)
    writing.begin(3, {"w": torch.zeros(2)}, lambda _: None)
    written = writing.outcome(waits=True)
    assert written is not None
    assert "step 3 could not be written: RuntimeError: cannot allocate memory" in str(written.error)
    assert writing.outcome(waits=True) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_is_not_finite_is_found_among_numbers_whose_squares_have_no_room(bad: float, dtype: torch.dtype) -> None:
    large, plain = torch.full((9,), 1e30, dtype=dtype), torch.zeros(0)
    state: dict[str, Any] = {"online": {"a": large, "b": torch.arange(3), "none": plain}, "progress": {"mrr": 0.5}}
    assert first_not_finite(state, set()) is None
    state["online"]["c"] = torch.tensor([0.0, bad, 0.0], dtype=dtype)
    assert first_not_finite(state, set()) == "first online.c (1 of 3 elements, shape 3)"
    assert first_not_finite(state, {"online.c"}) is None
