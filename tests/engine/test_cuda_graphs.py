"""A step that a GPU replays: the same as the launched one, or not replayed at all, and then it is said why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import attrs
import pytest
import torch
from torch import nn

from jepa_core.contracts import Forward, HasState, LossTerm, Statistics
from jepa_core.engine.cuda_graphs import WARM_UP, NotCapturableError, Replay
from jepa_core.engine.device import set_numerics
from jepa_core.engine.trainer import Trainer
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.recipes.tables import LossEntry, Recipe
from tests.engine.training import RecipeMaker, a_trainer, take_steps

CPU = torch.device("cpu")
VARIED = (
    "encoder.dropout=0.2",
    "augmentation.colours=true",
    "augmentation.dihedral=true",
    "losses.invariance.weight=0.1",
    "train.clip_norm=0.5",
)
NUM_STEPS = WARM_UP + 15


class DrawsOnHost(nn.Module):
    """A loss that tosses a coin beside the device."""

    def forward(self, forward: Forward) -> LossTerm:
        weight = 1.0 if torch.rand(()) < 0.5 else 2.0
        return LossTerm(value=weight * (forward.z_context - forward.z_target).square().mean())


class Waits(nn.Module):
    """A loss that asks the device for a number."""

    def forward(self, forward: Forward) -> LossTerm:
        value = (forward.z_context - forward.z_target).square().mean()
        return LossTerm(value=value / max(1.0, float(value.detach())))


class Reallocates(nn.Module):
    """A loss whose memory is another one after every step."""

    centre: torch.Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(dim))

    def forward(self, forward: Forward) -> LossTerm:
        value = (forward.z_context - forward.z_target - self.centre).square().mean()
        return LossTerm(value=value, statistics=Statistics(sums={"z": forward.z_target.detach().float().mean(0)}))

    def after_step(self, statistics: Statistics) -> None:
        self.centre = 0.5 * self.centre + statistics.sums["z"]


def with_loss(recipe: Recipe, make: Callable[[int], nn.Module]) -> Recipe:
    """The recipe with a loss more, made for a projection dimension."""

    @attrs.frozen(kw_only=True)
    class Config:
        kind: ClassVar[str] = "odd"
        metrics: ClassVar[tuple[Metric, ...]] = ()

        def build(self, facts: LossFacts) -> nn.Module:
            return make(facts.projection_dim)

    entry = LossEntry(name="odd", weight=1.0, config=Config())
    return attrs.evolve(recipe, losses={**recipe.losses, "odd": entry})


def on_cuda(recipe: Recipe, folder: Path, *, replay: bool = True) -> Trainer:
    recipe = attrs.evolve(recipe, train=attrs.evolve(recipe.train, replay=replay))
    return a_trainer(recipe, folder, precision=recipe.train.precision, device=torch.device("cuda"))


def weights(trainer: Trainer) -> torch.Tensor:
    parts = trainer.step.parts
    return torch.cat([p.detach().float().flatten() for m in (parts.online, parts.target) for p in m.parameters()])


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_replayed_run_is_the_launched_one(
    tiny_recipe: RecipeMaker, tmp_path: Path, precision: str, accumulate: int
) -> None:
    recipe = tiny_recipe(*VARIED, f"train.precision={precision}", f"train.accumulate={accumulate}")
    launched, replayed = (on_cuda(recipe, tmp_path, replay=replay) for replay in (False, True))
    start = weights(launched)
    for trainer in (launched, replayed):
        take_steps(trainer, NUM_STEPS)
    assert replayed.step.replay.is_on, replayed.step.not_replayed
    assert not launched.step.replay.is_on
    # Sums whose order differs from run to run may part two runs a little.
    moved, apart = (weights(launched) - start).norm(), (weights(replayed) - weights(launched)).norm()
    assert apart <= 0.05 * moved
    figures = [trainer.step.meters.take() for trainer in (launched, replayed)]
    assert figures[0].keys() == figures[1].keys()
    assert figures[1]["loss.total"] == pytest.approx(figures[0]["loss.total"], rel=1e-2)
    assert figures[1]["lr"] == figures[0]["lr"]


@pytest.mark.cuda
def test_in_deterministic_mode_they_are_equal_to_the_last_bit(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    recipe = tiny_recipe(*VARIED)
    trainers = []
    for replay in (False, True):
        set_numerics(deterministic=True, tf32=False)
        trainers.append(take_steps(on_cuda(recipe, tmp_path, replay=replay), NUM_STEPS))
    assert trainers[1].step.replay.is_on, trainers[1].step.not_replayed
    assert torch.equal(weights(trainers[0]), weights(trainers[1]))


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda _: DrawsOnHost(), "random numbers on the host"),
        (lambda _: Waits(), "captur"),
        (Reallocates, "losses.odd.centre"),
    ],
)
def test_what_cannot_be_replayed_is_launched_and_the_reason_is_told(
    tiny_recipe: RecipeMaker, tmp_path: Path, make: Callable[[int], nn.Module], why: str
) -> None:
    recipe = with_loss(tiny_recipe(), make)
    launched, tried = (on_cuda(recipe, tmp_path, replay=replay) for replay in (False, True))
    for trainer in (launched, tried):
        take_steps(trainer, NUM_STEPS)
    assert not tried.step.replay.is_on
    assert why in tried.step.not_replayed
    assert torch.allclose(weights(launched), weights(tried), atol=1e-3)


def test_a_stateful_loss_of_these_tests_is_one() -> None:
    assert isinstance(Reallocates(2), HasState)


def test_before_it_is_on_stages_run_as_they_are() -> None:
    assert Replay(CPU).run("sum", lambda a, b: a + b, 1.0, 2.0) == 3.0


def test_a_draw_on_the_host_is_noticed_before_anything_is_captured() -> None:
    replay, value = Replay(CPU), torch.zeros(1)

    def step() -> None:
        replay.run("draws", lambda: value.add_(torch.rand(1) + 1))

    with pytest.raises(NotCapturableError, match="random numbers on the host"):
        replay.start(step, lambda: {"value": value})
    assert value == 0
    assert not replay.is_on
