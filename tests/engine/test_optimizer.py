"""The gated optimizer, the schedules and the loss scale."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from jepa_core.engine.checkpoint import same_tree
from jepa_core.engine.optimizer import GatedAdam, LossScale, clip_gradients, ema_decay, learning_rate
from jepa_core.recipes.tables import Optimizer, Schedule

YES, NO = torch.tensor(True), torch.tensor(False)


def gradients_of(parameter: nn.Parameter) -> list[Tensor]:
    assert parameter.grad is not None
    return [parameter.grad]


def a_parameter(gradient: float = 1.0) -> nn.Parameter:
    parameter = nn.Parameter(torch.ones(2, 2))
    parameter.grad = torch.full((2, 2), gradient)
    return parameter


def test_an_accepted_step_equals_torchs_adamw() -> None:
    ours, theirs = a_parameter(), a_parameter()
    adam = GatedAdam(Optimizer(lr=0.1, weight_decay=0.05), {"w": ours})
    reference = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.05)
    for _ in range(3):
        adam.step(0.1, YES)
        reference.step()
    torch.testing.assert_close(ours, theirs)


def test_a_refused_step_changes_neither_weights_nor_moments_nor_counts() -> None:
    parameter = a_parameter()
    adam = GatedAdam(Optimizer(lr=0.1), {"w": parameter})
    adam.step(0.1, YES)
    weights, moments = parameter.detach().clone(), {k: v.clone() for k, v in adam.state()["w"].items()}
    parameter.grad = torch.full((2, 2), math.nan)
    adam.step(0.1, NO)
    assert torch.equal(parameter, weights)
    assert same_tree(adam.state()["w"], moments)


def test_a_restored_optimizer_goes_on_as_if_it_had_never_stopped() -> None:
    straight, resumed = a_parameter(), a_parameter()
    first = GatedAdam(Optimizer(lr=0.1), {"w": straight})
    first.step(0.1, YES)
    saved = {name: {k: v.clone() for k, v in moments.items()} for name, moments in first.state().items()}
    resumed.data.copy_(straight.data)
    second = GatedAdam(Optimizer(lr=0.1), {"w": resumed})
    second.restore(saved)
    first.step(0.1, YES)
    second.step(0.1, YES)
    assert torch.equal(straight, resumed)


def test_moments_are_restored_in_the_layout_of_their_parameter_whatever_the_files_is() -> None:
    torch.manual_seed(0)
    gradients = torch.randn(2, 4, 3, 3, 3)
    straight, resumed = (nn.Parameter(torch.zeros(4, 3, 3, 3).to(memory_format=torch.channels_last)) for _ in range(2))
    first, second = (GatedAdam(Optimizer(lr=0.1), {"w": parameter}) for parameter in (straight, resumed))
    straight.grad = gradients[0].to(memory_format=torch.channels_last)
    first.step(0.1, YES)
    resumed.data.copy_(straight.data)
    second.restore({"w": {key: value.contiguous() for key, value in first.state()["w"].items()}})
    for parameter, adam in ((straight, first), (resumed, second)):
        parameter.grad = gradients[1].to(memory_format=torch.channels_last)
        adam.step(0.1, YES)
    assert torch.equal(straight, resumed)


def test_adamw_decays_matrices_only() -> None:
    matrix, bias = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    for parameter in (matrix, bias):
        parameter.grad = torch.zeros_like(parameter)
    GatedAdam(Optimizer(lr=0.1, weight_decay=0.5), {"m": matrix, "b": bias}).step(0.1, YES)
    assert (matrix < 1).all()
    assert torch.equal(bias, torch.ones(2))


def test_clipping_scales_the_gradient_to_the_limit_and_says_so() -> None:
    parameter = a_parameter(3.0)
    norm = torch.tensor(6.0)
    assert clip_gradients(gradients_of(parameter), norm, 0.5) == 1
    assert parameter.grad is not None
    torch.testing.assert_close(parameter.grad.norm(), torch.tensor(0.5), rtol=1e-4, atol=0)
    assert clip_gradients(gradients_of(a_parameter()), torch.tensor(2.0), 10.0) == 0
    assert clip_gradients(gradients_of(a_parameter()), torch.tensor(2.0), None) == 0


def test_where_nothing_has_a_gradient_there_is_nothing_to_scale() -> None:
    assert clip_gradients([], torch.tensor(0.0), 0.5) == 0
    LossScale(enabled=True, device=torch.device("cpu")).unscale_([])


@given(warmup=st.integers(0, 50), total=st.integers(1, 200), floor=st.floats(0, 1), step=st.integers(0, 400))
def test_the_learning_rate_stays_between_zero_and_its_peak(warmup: int, total: int, floor: float, step: int) -> None:
    rate = learning_rate(Schedule(warmup_steps=warmup, total_steps=total, floor=floor), 2.0, step, 1)
    assert 0 <= rate <= 2.0 + 1e-12
    if step >= max(total, warmup):
        assert rate == pytest.approx(2.0 * floor) or warmup >= total


def test_the_schedule_warms_up_linearly_peaks_and_ends_at_its_floor() -> None:
    schedule = Schedule(warmup_steps=4, floor=0.1)
    rates = [learning_rate(schedule, 1.0, step, 12) for step in range(14)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[8] == pytest.approx(0.55)
    assert rates[12] == rates[13] == pytest.approx(0.1)


def test_the_targets_decay_moves_from_start_to_end() -> None:
    assert ema_decay(0.9, None, 5, 10) == 0.9
    assert ema_decay(0.9, 1.0, 0, 11) == pytest.approx(0.9)
    assert ema_decay(0.9, 1.0, 5, 11) == pytest.approx(0.95)
    assert ema_decay(0.9, 1.0, 10, 11) == pytest.approx(1.0)


def test_the_loss_scale_halves_on_overflow_and_doubles_after_many_good_steps() -> None:
    scale = LossScale(enabled=True, device=torch.device("cpu"))
    scale.update(torch.tensor(math.inf))
    assert scale.scale == 2.0**15
    for _ in range(LossScale.GROWTH_INTERVAL):
        scale.update(torch.tensor(1.0))
    assert scale.scale == 2.0**16


def test_unscaling_gives_the_gradient_of_the_unscaled_loss() -> None:
    scale = LossScale(enabled=True, device=torch.device("cpu"))
    parameter = nn.Parameter(torch.tensor([2.0]))
    scale.scaled((parameter**2).sum()).backward()
    scale.unscale_(gradients_of(parameter))
    assert parameter.grad == 4.0
