"""Distances between frames, against the formula."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from jepa_plugins.images.nulls import frame_distance
from jepa_plugins.images.nulls.frame_distance import nearness
from tests.images.random_images import random_images


def by_formula(predicted: Tensor, candidates: Tensor) -> Tensor:
    return -(predicted[:, None] - candidates).square().flatten(2).mean(2)


@pytest.mark.parametrize("rows_at_once", [2, 256])
def test_scores_are_negative_mean_squared_differences(rows_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_distance, "_ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(frame_distance, "_VALUES_AT_ONCE", rows_at_once * 50)
    predicted = random_images(7, channels=2)["pixels"]
    shared, own = random_images(5, channels=2, seed=1)["pixels"], random_images(7, 3, channels=2, seed=2)["pixels"]
    torch.testing.assert_close(nearness(predicted, shared), by_formula(predicted, shared[None]))
    torch.testing.assert_close(nearness(predicted, own), by_formula(predicted, own))


def test_the_right_frame_is_told_from_one_that_differs_by_little() -> None:
    right = random_images(4, height=40, width=40)["pixels"]
    candidates = torch.cat([right, right + 1e-4 * (torch.arange(1600).view(40, 40) == 7)])
    with torch.autocast("cpu", torch.bfloat16):
        scores = nearness(right, candidates)
    assert scores.dtype == torch.float32
    assert scores.argmax(1).equal(torch.arange(4))


def test_a_thousand_by_a_thousand_frames_take_little_time() -> None:
    frames = random_images(1000, height=20, width=20)["pixels"]
    start = time.perf_counter()
    nearness(frames, frames)
    assert time.perf_counter() - start < 2
