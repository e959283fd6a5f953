"""The step: a function of seed and step number, gated by the vote, the same for one batch and for its halves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs
import pytest
import torch
from torch import Tensor, nn

from jepa_core.contracts import Forward, LossTerm, Statistics
from jepa_core.engine.checkpoint import same_tree
from jepa_core.engine.device import set_numerics
from jepa_core.engine.step import apply_gated, trained_parameters
from jepa_core.engine.trainer import Trainer
from jepa_core.errors import RecipeError
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.recipes.tables import LossEntry
from tests.engine.training import RecipeMaker, a_trainer, snapshot, take_steps

VARIED = (
    "encoder.dropout=0.2",
    "augmentation.colours=true",
    "augmentation.dihedral=true",
    "losses.invariance.weight=0.1",
    "train.accumulate=2",
    "train.clip_norm=0.5",
)


@attrs.frozen(kw_only=True)
class MeanDistanceConfig:
    """A loss that is a mean over sequences."""

    kind: ClassVar[str] = "mean_distance"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: LossFacts) -> MeanDistance:
        return MeanDistance()


class MeanDistance(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(value=(forward.z_context - forward.z_target).square().sum(-1).mean())


def test_two_trainers_are_bitwise_equal_after_some_steps(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    one, other = (take_steps(a_trainer(tiny_recipe(*VARIED), tmp_path), 3) for _ in range(2))
    assert same_tree(snapshot(one), snapshot(other))


def test_what_others_draw_between_steps_does_not_matter(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    one, other = (take_steps(a_trainer(tiny_recipe(*VARIED), tmp_path), 1) for _ in range(2))
    one.step(1)
    torch.manual_seed(99)
    torch.rand(7)
    other.step(1)
    assert same_tree(snapshot(one), snapshot(other))


def test_another_seed_gives_another_model(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    one, other = (take_steps(a_trainer(tiny_recipe(f"train.seed={seed}"), tmp_path), 1) for seed in (3, 4))
    assert not same_tree(snapshot(one)["online"], snapshot(other)["online"])


def test_two_accumulated_halves_equal_the_whole_batch(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    losses = {"distance": LossEntry(name="distance", weight=1.0, config=MeanDistanceConfig())}
    whole, halves = (
        take_steps(a_trainer(attrs.evolve(tiny_recipe(*overrides), losses=losses), tmp_path), 1)
        for overrides in (
            ["train.batch_size=16", "train.accumulate=1"],
            ["train.batch_size=8", "train.accumulate=2"],
        )
    )
    for name, parameter in whole.step.parameters.items():
        torch.testing.assert_close(halves.step.parameters[name].grad, parameter.grad, msg=name)
    for name in ("ema_counts", "ema_sums", "codebook"):
        ours, theirs = (trainer.parts.online.quantizer.get_buffer(name) for trainer in (halves, whole))
        torch.testing.assert_close(ours, theirs)
    assert halves.step.meters.take()["loss.total"] == pytest.approx(whole.step.meters.take()["loss.total"])


class Counter(nn.Module):
    """Counts what it is given."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(2))

    def after_step(self, statistics: Statistics) -> None:
        self.count.add_(statistics.sums["count"])


@pytest.mark.parametrize(("accepted", "count"), [(True, 3.0), (False, 0.0)])
def test_statistics_are_applied_when_the_vote_accepts(accepted: bool, count: float) -> None:
    counter = Counter()
    apply_gated(counter, Statistics(sums={"count": torch.full((2,), 3.0)}), torch.tensor(accepted))
    assert counter.count.tolist() == [count, count]


def test_refused_statistics_that_are_not_finite_leave_no_trace() -> None:
    counter = Counter()
    apply_gated(counter, Statistics(sums={"count": torch.full((2,), torch.nan)}), torch.tensor(False))
    assert counter.count.tolist() == [0.0, 0.0]


def distance_to_average(trainer: Trainer, old: Mapping[str, Tensor], decay: float) -> float:
    """Largest distance of the target from decay × what it was + (1 − decay) × the online weights."""
    online, target = trainer.parts.online.state_dict(), trainer.parts.target.state_dict()
    expected = {name: decay * value + (1 - decay) * online[name] for name, value in old.items()}
    return max(float((target[name] - value).abs().max()) for name, value in expected.items())


def test_the_target_moves_by_one_less_its_decay(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer = take_steps(a_trainer(tiny_recipe("target.ema_decay=0.75", "optimizer.lr=0.01"), tmp_path), 1)
    old = {name: value.clone() for name, value in trainer.parts.target.state_dict().items()}
    trainer.step(1)
    assert distance_to_average(trainer, old, 0.75) < 1e-6
    assert distance_to_average(trainer, old, 0.70) > 1e-4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's compiler uses what torch deprecates
def test_compiled_steps_move_the_target_and_see_what_eager_steps_see(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    eager, compiled = (
        a_trainer(tiny_recipe("target.ema_decay=0.75", "optimizer.lr=0.01", f"train.compile={flag}"), tmp_path)
        for flag in ("false", "true")
    )
    for trainer in (eager, compiled):
        take_steps(trainer, 1)
    old = {name: value.clone() for name, value in compiled.parts.target.state_dict().items()}
    for trainer in (eager, compiled):
        trainer.step(1)
    assert distance_to_average(compiled, old, 0.75) < 1e-6
    assert distance_to_average(compiled, old, 0.70) > 1e-4
    assert snapshot(compiled)["online"].keys() == snapshot(eager)["online"].keys()
    rows = [{n: v for n, v in t.step.meters.take().items() if not n.startswith("time.")} for t in (compiled, eager)]
    assert rows[0] == pytest.approx(rows[1], rel=1e-2, abs=1e-5)


def test_gradients_are_clipped_to_the_limit_and_the_norm_before_is_reported(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    trainer = take_steps(a_trainer(tiny_recipe("train.clip_norm=0.125"), tmp_path), 1)
    gradients = [p.grad for p in trainer.step.parameters.values() if p.grad is not None]
    row = trainer.step.meters.take()
    assert float(nn.utils.get_total_norm(gradients)) == pytest.approx(0.125, rel=1e-3)
    assert row["grad.norm"] > 0.125
    assert row["grad.clipped"] == 1
    assert row["grad.skipped"] == 0


def test_a_step_in_bf16_leaves_weights_and_moments_in_fp32(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer = take_steps(a_trainer(tiny_recipe(), tmp_path, precision="bf16"), 2)
    row, reference = (t.step.meters.take() for t in (trainer, take_steps(a_trainer(tiny_recipe(), tmp_path), 2)))
    assert row["loss.total"] == pytest.approx(reference["loss.total"], rel=0.05)
    assert row["loss.total"] != reference["loss.total"]
    states = [
        *trainer.parts.online.state_dict().values(),
        *trainer.step.optimizer.state()["encoder.norm.weight"].values(),
    ]
    assert {state.dtype for state in states if state.is_floating_point()} == {torch.float32}


def test_deterministic_mode_has_all_the_kernels_that_a_step_needs(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    set_numerics(deterministic=True, tf32=False)
    one, other = (take_steps(a_trainer(tiny_recipe(*VARIED), tmp_path), 2) for _ in range(2))
    figures = [trainer.diagnostics(2).figures for trainer in (one, other)]
    assert figures[0] == figures[1]
    assert same_tree(snapshot(one), snapshot(other))


def test_every_parameter_with_a_gradient_is_trained_once(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    parts = a_trainer(tiny_recipe(), tmp_path).parts
    trained = trained_parameters(parts)
    expected = [*parts.online.parameters(), *parts.losses.parameters()]
    assert sorted(map(id, trained.values())) == sorted(map(id, expected))
    assert "info_nce.log_temperature" in trained


def test_turning_outputs_of_data_that_has_only_frames_is_refused(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"augmentation\.outputs .* no outputs"):
        a_trainer(tiny_recipe("augmentation.outputs=0.5"), tmp_path)
