"""Sums of context frames, against sums by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from jepa_core.observations import Observations
from jepa_plugins.images.nulls.linear import FrameExtrapolationConfig, LastFrameConfig, MeanFrameConfig
from tests.images.random_images import null_facts, random_images


def scores_of(config: Any, context: Observations, candidates: Observations) -> Tensor:
    null = config.build(null_facts(num_frames=context["pixels"].shape[1] + 1))
    scores: Tensor = null.scores(context, candidates)
    return scores


@pytest.mark.parametrize(
    ("config", "weights"),
    [
        (LastFrameConfig(), (0.0, 0.0, 1.0)),
        (MeanFrameConfig(), (1 / 3, 1 / 3, 1 / 3)),
        (FrameExtrapolationConfig(), (0.0, -1.0, 2.0)),
    ],
)
def test_scores_are_distances_from_a_sum_of_the_context(config: Any, weights: tuple[float, ...]) -> None:
    context, candidates, own = random_images(5, 3), random_images(4, seed=1), random_images(5, 4, seed=2)
    frames = context["pixels"]
    predicted = sum(weight * frames[:, place] for place, weight in enumerate(weights))
    predicted = torch.as_tensor(predicted).clamp(0, 1)[:, None]
    for listed, expanded in ((candidates, candidates["pixels"][None]), (own, own["pixels"])):
        expected = -(predicted - expanded).square().flatten(2).mean(2)
        torch.testing.assert_close(scores_of(config, context, listed), expected)


def test_a_fade_is_extrapolated() -> None:
    start = random_images(6)["pixels"] * 0.5
    step = random_images(6, seed=1)["pixels"] * 0.1
    course = torch.stack([start + place * step for place in range(4)], 1)
    context, targets = Observations({"pixels": course[:, :3]}), Observations({"pixels": course[:, 3]})
    scores = scores_of(FrameExtrapolationConfig(), context, targets)
    assert scores.argmax(1).equal(torch.arange(6))
    torch.testing.assert_close(scores.diagonal(), torch.zeros(6), atol=1e-9, rtol=0)


def test_they_are_for_what_they_can_use() -> None:
    pairs, one = null_facts("input", "output", "input", "output"), null_facts(num_frames=2)
    assert LastFrameConfig().build(one) is not None
    assert LastFrameConfig().build(pairs) is not None
    assert MeanFrameConfig().build(one) is None
    assert FrameExtrapolationConfig().build(one) is None
    assert FrameExtrapolationConfig().build(pairs) is None
