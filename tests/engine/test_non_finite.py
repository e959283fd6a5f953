"""Values that are not finite: nothing changes from that step on, and what was bad first is named."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Forward, LossTerm
from jepa_core.engine.checkpoint import same_tree
from jepa_core.engine.non_finite import BadTensor, cause_of, first_bad_tensor
from jepa_core.engine.optimizer import LossScale
from jepa_core.engine.trainer import Trainer
from jepa_core.engine.vote import OVERFLOWS_IN_A_ROW, SKIPPED_IN_A_ROW
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from tests.engine.training import RARE, KeptRecord, RecipeMaker, a_trainer, snapshot, take_steps, train

GOOD_STEPS = 2
COUNTERS = ("vote", "meters")
"""Entries that say what happened, and change on a refused step."""


def into_loss(trainer: Trainer, value: float) -> None:
    def spoil(_module: nn.Module, _inputs: Any, term: LossTerm) -> LossTerm:
        return dataclasses.replace(term, value=term.value * value)

    trainer.parts.losses["sigreg"].register_forward_hook(spoil)


def into_gradient(trainer: Trainer, value: float) -> None:
    weight = trainer.step.parameters["projector.linear0.weight"]
    weight.register_hook(lambda gradient: torch.full_like(gradient, value))


def into_encoder_output(trainer: Trainer, value: float) -> None:
    def spoil(_module: nn.Module, _inputs: Any, output: Embeddings) -> Embeddings:
        return Embeddings(output.values + value, output.mask)

    trainer.parts.online.encoder.register_forward_hook(spoil)


def into(tensor_of: Callable[[Trainer], Tensor]) -> Callable[[Trainer, float], None]:
    def spoil(trainer: Trainer, value: float) -> None:
        with torch.no_grad():
            tensor_of(trainer).fill_(value)

    return spoil


PLACES: dict[str, tuple[Callable[[Trainer, float], None], str]] = {
    "loss": (into_loss, "output of losses.sigreg"),
    "gradient": (into_gradient, "gradient of projector.linear0.weight"),
    "encoder output": (into_encoder_output, "output of online.encoder ("),
    "target": (
        into(lambda t: t.parts.target.get_parameter("projector.linear0.bias")),
        "projector.linear0.bias of the EMA target",
    ),
    "codebook": (
        into(lambda t: t.parts.online.quantizer.get_buffer("codebook")),
        "quantizer.codebook of the online network",
    ),
    "queue": (into(lambda t: t.parts.losses["info_nce"].get_buffer("queue")), "info_nce.queue of the losses"),
    "weights": (into(lambda t: t.step.parameters["encoder.norm.weight"]), "encoder.norm.weight of the online network"),
}


def after_good_steps(
    recipe_of: RecipeMaker, folder: Path, *overrides: str, spoil: Callable[[Trainer], None]
) -> tuple[Trainer, KeptRecord]:
    """A trainer with two good steps behind it and something bad ahead."""
    record = KeptRecord()
    trainer = take_steps(a_trainer(recipe_of(*RARE, *overrides), folder, record=record), GOOD_STEPS)
    trainer.step.meters.take()
    spoil(trainer)
    return trainer, record


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("place", PLACES)
def test_nothing_changes_from_the_bad_step_on_and_the_first_bad_tensor_is_named(
    tiny_recipe: RecipeMaker, tmp_path: Path, place: str, value: float
) -> None:
    spoil, name = PLACES[place]
    trainer, record = after_good_steps(tiny_recipe, tmp_path, spoil=lambda t: spoil(t, value))
    bad = first_bad_tensor(trainer.step, GOOD_STEPS)
    assert bad is not None
    assert bad.made_by == {"loss": "losses.sigreg", "encoder output": "encoder"}.get(place, "")
    trainer.step.optimizer.zero_grad()
    before = snapshot(trainer, *COUNTERS)
    ending = train(trainer)
    assert (ending.kind, ending.state, ending.exit_code, ending.step) == ("non-finite", "aborted", 3, GOOD_STEPS)
    assert same_tree(snapshot(trainer, *COUNTERS), before)
    (message,) = record.named("non-finite")
    assert message.startswith("Step 3 was not finite: first ")
    assert name in message
    assert record.events[-1][1] == "critical"
    assert trainer.checkpoints.all() == []


@pytest.mark.parametrize("log_every", [1, 3, 100])
def test_steps_between_the_bad_one_and_the_next_row_change_nothing_either(
    tiny_recipe: RecipeMaker, tmp_path: Path, log_every: int
) -> None:
    trainer, record = after_good_steps(
        tiny_recipe, tmp_path, f"diagnostics.log_every_steps={log_every}", spoil=lambda t: into_loss(t, math.nan)
    )
    before = snapshot(trainer, *COUNTERS)
    assert train(trainer).step == GOOD_STEPS
    assert same_tree(snapshot(trainer, *COUNTERS), before)
    assert math.isnan(record.rows[-1]["loss.total"])
    assert not any(name.startswith("val.") for name in record.rows[-1])


def test_no_checkpoint_is_written_after_the_bad_step(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    overrides = ("checkpoint.every_steps=1", "diagnostics.log_every_steps=100")
    trainer, _ = after_good_steps(tiny_recipe, tmp_path, *overrides, spoil=lambda t: into_loss(t, math.nan))
    assert train(trainer).kind == "non-finite"
    assert trainer.checkpoints.all() == []


def once(trainer: Trainer) -> None:
    """Spoil one step's loss, and no other."""
    left = [math.nan]

    def spoil(_module: nn.Module, _inputs: Any, term: LossTerm) -> LossTerm:
        return dataclasses.replace(term, value=term.value * left.pop()) if left else term

    trainer.parts.losses["sigreg"].register_forward_hook(spoil)


def test_under_skip_the_bad_step_is_left_out_told_of_and_training_goes_on(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    trainer, record = after_good_steps(tiny_recipe, tmp_path, "train.non_finite=skip", spoil=once)
    before = snapshot(trainer, *COUNTERS, "progress")
    states = []
    record.after_heartbeat = lambda _: states.append(snapshot(trainer, *COUNTERS, "progress"))
    assert train(trainer).kind == "finished"
    assert same_tree(states[0], before)
    assert not same_tree(states[1], before)
    assert record.named("skipped") == ["Skipped 1 step since the last row: a loss or gradient was not finite."]
    assert [row["grad.skipped"] for row in record.rows] == [1.0, 0.0, 0.0, 0.0]


def test_under_skip_nothing_is_written_while_every_step_is_bad(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer, record = after_good_steps(
        tiny_recipe, tmp_path, "train.non_finite=skip", spoil=lambda t: into_encoder_output(t, math.nan)
    )
    before = snapshot(trainer, *COUNTERS, "progress")
    assert train(trainer).kind == "finished"
    assert same_tree(snapshot(trainer, *COUNTERS, "progress"), before)
    assert len(record.named("skipped")) == 4


@pytest.mark.parametrize("log_every", [1, 7])
def test_skipping_for_long_aborts_with_its_cause(tiny_recipe: RecipeMaker, tmp_path: Path, log_every: int) -> None:
    overrides = ("train.non_finite=skip", "train.epochs=10", f"diagnostics.log_every_steps={log_every}")
    trainer, record = after_good_steps(
        tiny_recipe, tmp_path, *overrides, spoil=lambda t: into_encoder_output(t, math.nan)
    )
    before = snapshot(trainer, *COUNTERS, "progress")
    ending = train(trainer)
    last = GOOD_STEPS + SKIPPED_IN_A_ROW
    assert (ending.kind, ending.exit_code, ending.step) == ("non-finite", 3, last - 1)
    assert same_tree(snapshot(trainer, *COUNTERS, "progress"), before)
    (message,) = record.named("non-finite")
    assert message.startswith(f"Steps {GOOD_STEPS + 1} to {last} were not finite: first output of online.encoder (")
    assert "optimizer.lr" in record.advice[-1]


def test_a_short_run_that_skips_every_step_has_not_finished(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    record = KeptRecord()
    trainer = a_trainer(tiny_recipe(*RARE, "train.non_finite=skip"), tmp_path, record=record)
    into_loss(trainer, math.nan)
    ending = train(trainer)
    assert (ending.kind, ending.exit_code) == ("non-finite", 3)
    assert ending.reason.startswith("steps 1 to 6 were not finite: first output of losses.sigreg")
    assert trainer.checkpoints.all() == []


@pytest.mark.parametrize("policy", ["stop", "skip"])
@pytest.mark.parametrize("log_every", [1, 7])
def test_an_fp16_run_whose_gradients_overflow_without_end_says_that_loss_scaling_collapsed(
    tiny_recipe: RecipeMaker, tmp_path: Path, policy: str, log_every: int
) -> None:
    recipe = tiny_recipe(
        *RARE, "train.epochs=5", f"train.non_finite={policy}", f"diagnostics.log_every_steps={log_every}"
    )
    record = KeptRecord()
    trainer = a_trainer(recipe, tmp_path, record=record, precision="fp16")
    into_gradient(trainer, math.inf)
    trainer.initialise()
    before = snapshot(trainer, *COUNTERS, "loss_scale", "progress", "optimizer")
    ending = train(trainer)
    assert (ending.kind, ending.exit_code) == ("non-finite", 3)
    assert ending.step == OVERFLOWS_IN_A_ROW - 1
    (message,) = record.named("non-finite")
    assert "loss scaling collapsed" in message
    assert "projector" not in message
    assert "bf16" in record.advice[-1]
    assert same_tree(snapshot(trainer, *COUNTERS, "loss_scale", "progress", "optimizer"), before)


@pytest.mark.parametrize("log_every", [1, 7])
def test_steps_in_which_fp16_finds_its_loss_scale_are_in_no_figure_but_that_of_skipped_ones(
    tiny_recipe: RecipeMaker, tmp_path: Path, log_every: int
) -> None:
    record = KeptRecord()
    recipe = tiny_recipe("losses.info_nce.weight=50", f"diagnostics.log_every_steps={log_every}")
    assert train(a_trainer(recipe, tmp_path, record=record, precision="fp16")).kind == "finished"
    rows = [row for row in record.rows if "grad.skipped" in row]
    assert any(row["grad.skipped"] > 0 for row in rows)
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert all(("grad.norm" in row) == (row["grad.skipped"] < 1) for row in rows)


def test_a_non_finite_loss_in_fp16_is_no_overflow(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    record = KeptRecord()
    trainer = a_trainer(tiny_recipe(*RARE), tmp_path, record=record, precision="fp16")
    into_loss(trainer, math.nan)
    assert train(trainer).step == 0
    assert "output of losses.sigreg" in record.named("non-finite")[0]
    # Before the first step no learning rate can matter.
    assert "optimizer.lr" not in record.advice[-1]
    assert "the data's values" in record.advice[-1]
    assert "train.precision = 'fp32'" in record.advice[-1]


def test_the_loss_scale_has_a_floor_and_a_ceiling() -> None:
    scale = LossScale(enabled=True, device=torch.device("cpu"))
    for _ in range(40):
        scale.update(torch.tensor(math.nan))
    assert scale.scale == 1
    scale.scale.fill_(LossScale.LARGEST)
    scale.good_steps.fill_(LossScale.GROWTH_INTERVAL - 1)
    scale.update(torch.tensor(1.0))
    assert scale.scale == LossScale.LARGEST


def test_looking_for_a_bad_tensor_changes_no_state_and_finds_none_in_a_healthy_step(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    trainer = take_steps(a_trainer(tiny_recipe("train.accumulate=2", "train.batch_size=8"), tmp_path), 1)
    before = snapshot(trainer)
    assert first_bad_tensor(trainer.step, 1) is None
    assert "not known" in cause_of(trainer.step, 1).what
    assert same_tree(snapshot(trainer), before)


def test_a_bad_tensor_is_described_by_name_and_count_and_shape() -> None:
    assert BadTensor("gradient of w", 3, (40, 50)).describe() == "gradient of w (3 of 2,000 elements, shape 40 × 50)"
    assert BadTensor("loss x", 1, ()).describe() == "loss x"


@attrs.frozen(kw_only=True)
class NotANumberConfig:
    """A loss that is not one of the program's own."""

    kind: ClassVar[str] = "not_a_number"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, _facts: LossFacts) -> nn.Module:
        return NotANumber()


class NotANumber(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(forward.z_context.mean() * math.nan)


@pytest.mark.parametrize("name", ["mine", "my loss", "output of online"])
def test_the_component_that_made_it_is_known_whatever_its_table_is_called(
    tiny_recipe: RecipeMaker, tmp_path: Path, name: str
) -> None:
    recipe = tiny_recipe(*RARE)
    entry = attrs.evolve(recipe.losses["sigreg"], config=NotANumberConfig())
    trainer = a_trainer(attrs.evolve(recipe, losses={**recipe.losses, name: entry}), tmp_path)
    assert cause_of(trainer.step, 0).plugin == "not_a_number"
