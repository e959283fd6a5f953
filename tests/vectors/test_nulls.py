"""Nulls of vectors and series against their formulas in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from jepa_core.contracts import Observations, Sequences, Space
from jepa_core.facts import NullFacts, frames
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.vectors import nulls, real_values
from jepa_plugins.vectors.nulls import (
    LastValuesConfig,
    LinearMapConfig,
    MeanValuesConfig,
    ValuesExtrapolationConfig,
    nearness,
    scale_of,
)
from jepa_plugins.vectors.space import VectorSpace

SPACES: tuple[Space, ...] = (VectorSpace(dim=4), SeriesSpace(length=3, channels=2))
SUMS: list[tuple[Any, list[float]]] = [
    (LastValuesConfig(), [0, 0, 1]),
    (ValuesExtrapolationConfig(), [0, -1, 2]),
    (MeanValuesConfig(), [1 / 3, 1 / 3, 1 / 3]),
]
CONFIGS = [LastValuesConfig, ValuesExtrapolationConfig, MeanValuesConfig, LinearMapConfig]


def observed(space: Space, *leading: int, seed: int = 0) -> Observations:
    torch.manual_seed(seed)
    drawn = space.sample(int(np.prod(leading)), "all")
    return drawn.map(lambda tensor: tensor.unflatten(0, leading))


def sequences(space: Space, num: int = 20, places: int = 4) -> Sequences:
    return Sequences(observations=observed(space, num, places, seed=7), tasks=torch.arange(num))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("config", "coefficients"), SUMS)
@pytest.mark.parametrize("is_fitted", [False, True])
def test_scores_are_minus_squared_distances_in_units_of_the_channels(
    space: Space, config: Any, coefficients: list[float], is_fitted: bool
) -> None:
    null = config.build(NullFacts(space=space, roles=frames(4)))
    train = sequences(space)
    scale = np.ones(1)
    if is_fitted:
        values = train.observations["values"].double().numpy()
        scale = values.reshape(-1, values.shape[-1]).std(0)
        found = null.fit(train)
        assert found == pytest.approx({"least_scale": scale.min(), "largest_scale": scale.max()})
    context, shared = observed(space, 5, 3), observed(space, 6, seed=1)
    wide = context["values"].double().numpy() / scale
    predicted = sum(weight * wide[:, place] for place, weight in enumerate(coefficients))
    candidates = shared["values"].double().numpy() / scale
    expected = -((np.asarray(predicted)[:, None] - candidates) ** 2).reshape(5, 6, -1).sum(-1)
    scores = null.scores(context, shared)
    assert scores.dtype == torch.float32
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_there_is_no_step_to_repeat_after_one_observation_or_in_pairs(space: Space) -> None:
    config = ValuesExtrapolationConfig()
    assert config.build(NullFacts(space=space, roles=frames(2))) is None
    assert config.build(NullFacts(space=space, roles=("input", "output", "input", "output"))) is None
    assert config.build(NullFacts(space=space, roles=frames(3))) is not None


def test_small_differences_of_large_numbers_rank() -> None:
    # In float32 all distances would be 0 or multiples of a thousand.
    predicted = torch.tensor([[1e6, 1e6]], dtype=torch.float64)
    candidates = torch.tensor([[1e6 + 0.25, 1e6], [1e6, 1e6], [1e6 + 0.5, 1e6]])
    scores = nearness(predicted, candidates, torch.ones(()), 1)
    torch.testing.assert_close(scores, torch.tensor([[-0.0625, 0.0, -0.25]]), atol=5e-3, rtol=0)
    own = nearness(predicted, candidates[None], torch.ones(()), 1)
    assert own.argsort().equal(scores.argsort())


def test_distances_beyond_float32_stay_finite() -> None:
    scores = nearness(torch.zeros(1, 2).double(), torch.tensor([[3e38, 3e38]]), torch.ones(()), 1)
    assert scores.isfinite().all()


def test_scores_are_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    space = VectorSpace(dim=4)
    null = LinearMapConfig().build(NullFacts(space=space, roles=frames(4)))
    null.fit(sequences(space))
    context, shared, own = observed(space, 5, 3), observed(space, 6, seed=1), observed(space, 5, 3, seed=2)
    whole = [null.scores(context, candidates) for candidates in (shared, own)]
    monkeypatch.setattr(real_values, "NUMBERS_AT_ONCE", 7)
    monkeypatch.setattr(nulls, "NUMBERS_AT_ONCE", 7)
    for before, candidates in zip(whole, (shared, own), strict=True):
        torch.testing.assert_close(null.scores(context, candidates), before)


def test_under_autocast_scores_are_as_without() -> None:
    space = VectorSpace(dim=4)
    null = LinearMapConfig().build(NullFacts(space=space, roles=frames(4)))
    null.fit(sequences(space))
    context, shared = observed(space, 5, 3), observed(space, 6, seed=1)
    expected = null.scores(context, shared)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(null.scores(context, shared), expected)


def test_a_linear_map_finds_the_target_that_a_matrix_makes() -> None:
    space = VectorSpace(dim=4)
    torch.manual_seed(0)
    matrix = torch.linalg.qr(torch.randn(4, 4))[0]
    states = [torch.randn(80, 4)]
    for _ in range(3):
        states.append(states[-1] @ matrix)
    whole = Sequences(observations=Observations({"values": torch.stack(states, 1)}), tasks=torch.arange(80))
    train, test = whole.rows(slice(60)), whole.rows(slice(60, 80))
    null = LinearMapConfig().build(NullFacts(space=space, roles=frames(4)))
    assert null.fit(train)["unexplained"] < 1e-3
    scores = null.scores(test.observations[:, :-1], test.observations[:, -1])
    assert scores.argmax(1).equal(torch.arange(20))


def test_a_constant_channel_has_the_scale_one() -> None:
    values = torch.randn(10, 3, 2)
    values[..., 1] = 0.1
    assert scale_of(values)[1] == 1
