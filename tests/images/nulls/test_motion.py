"""The last frame moved on: right shifts are found, and which edges there are."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jepa_core.contracts import Sequences
from jepa_core.observations import Observations
from jepa_plugins.images.nulls import motion
from jepa_plugins.images.nulls.motion import Motion, MotionConfig
from tests.images.random_images import null_facts, random_images


def null(max_shift: int = 4) -> Motion:
    built = MotionConfig(max_shift=max_shift).build(null_facts())
    assert built is not None
    return built


def rolling(shifts: list[tuple[int, int]], num_frames: int = 4) -> Tensor:
    """A sequence of noise for each shift, rolling by it: (S, T+1, 2, 9, 10)."""
    images = random_images(len(shifts), channels=2, height=9, width=10)["pixels"]
    return torch.stack(
        [
            torch.stack([image.roll((down * place, right * place), (1, 2)) for place in range(num_frames)])
            for image, (down, right) in zip(images, shifts, strict=True)
        ]
    )


def sliding(shifts: list[tuple[int, int]], num_frames: int = 4) -> Tensor:
    """The same, of a small thing that does not leave a dark canvas of 40 × 40."""
    things = F.pad(random_images(len(shifts), height=5, width=4)["pixels"], (18, 18, 17, 18))
    return torch.stack(
        [
            torch.stack([thing.roll((down * place, right * place), (1, 2)) for place in range(num_frames)])
            for thing, (down, right) in zip(things, shifts, strict=True)
        ]
    )


def sequences(pixels: Tensor) -> Sequences:
    return Sequences(observations=Observations({"pixels": pixels}), tasks=torch.arange(len(pixels)))


def are_exact(fitted: Motion, pixels: Tensor) -> bool:
    """Whether each target is what is predicted, but for what float64 rounds."""
    return bool((scores_of(fitted, pixels).diagonal() > -1e-12).all())


def scores_of(fitted: Motion, pixels: Tensor) -> Tensor:
    """Of sequences' contexts with all their targets."""
    return fitted.scores(Observations({"pixels": pixels[:, :-1]}), Observations({"pixels": pixels[:, -1]}))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=5))
def test_every_motion_within_reach_is_continued_exactly(shifts: list[tuple[int, int]]) -> None:
    for course in (rolling(shifts), sliding(shifts)):
        fitted = null()
        fitted.fit(sequences(course))
        assert are_exact(fitted, course)


def test_which_edges_there_are_is_found_in_training() -> None:
    shifts = [(2, 1), (-3, 0), (0, 4)]
    wrapped = rolling(shifts)
    cut = wrapped.clone()
    for row, (down, right) in enumerate(shifts):
        for place in range(1, 4):
            frame = F.pad(cut[row, place - 1], (4, 4, 4, 4))
            cut[row, place] = frame[:, 4 - down : 13 - down, 4 - right : 14 - right]
    assert null().fit(sequences(wrapped)) == {"wraps": 1.0}
    assert null().fit(sequences(cut)) == {"wraps": 0.0}
    fitted = null()
    fitted.fit(sequences(cut))
    assert are_exact(fitted, cut)


def test_a_motion_out_of_reach_is_not_found() -> None:
    course = rolling([(3, 0), (0, -3)])
    fitted = null(max_shift=2)
    fitted.fit(sequences(course))
    assert (scores_of(fitted, course).diagonal() < -0.01).all()


def test_where_nothing_moves_the_last_frame_stays() -> None:
    still = random_images(3)["pixels"][:, None].expand(-1, 4, -1, -1, -1)
    stripes = torch.zeros(3, 4, 1, 6, 5)
    stripes[..., 2, :] = 1.0
    for course in (still, stripes, torch.zeros(3, 4, 1, 6, 5)):
        for fitted in (null(), null(max_shift=9)):
            fitted.fit(sequences(course))
            assert are_exact(fitted, course)


def test_what_was_not_there_before_stays_where_it_is() -> None:
    course = random_images(3)["pixels"][:, None].repeat(1, 4, 1, 1, 1)
    course[:, 1] = 0.0
    assert are_exact(null(), course)


def test_many_sequences_are_moved_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    course = random_images(7, 4)["pixels"]
    expected = scores_of(null(), course)
    monkeypatch.setattr(motion, "_ROWS_AT_ONCE", 2)
    assert scores_of(null(), course).equal(expected)


def test_it_is_for_courses_of_two_frames_and_more() -> None:
    assert MotionConfig().build(null_facts(num_frames=3)) is not None
    assert MotionConfig().build(null_facts(num_frames=2)) is None
    assert MotionConfig().build(null_facts("input", "output", "input", "output")) is None
