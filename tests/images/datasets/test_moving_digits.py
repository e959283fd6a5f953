"""Moving digits: where they are drawn, how they move, and that no null answers what is asked."""

from __future__ import annotations

import time
from itertools import combinations, pairwise
from typing import Any, Literal

import pytest
import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # it ships no types
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset
from jepa_core.dataset_checks import check_dataset
from jepa_core.engine.hard_candidates import HardCandidates
from jepa_core.engine.nulls import training_sample
from jepa_core.engine.retrieval import CandidateList, figures_of
from jepa_core.facts import DatasetFacts, NullFacts
from jepa_plugins.images.datasets.moving_digits import Motions, MovingDigitsConfig, drawn_frames, packed_digits
from jepa_plugins.images.nulls.linear import FrameExtrapolationConfig, LastFrameConfig, MeanFrameConfig
from jepa_plugins.images.nulls.motion import MotionConfig
from jepa_plugins.images.space import ImageSpace

FACTS = DatasetFacts(seed=0)
EDGES: list[Literal["bounce", "wrap"]] = ["bounce", "wrap"]


def whole(dataset: SequenceDataset) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Frames (S, T+1, H, W), tasks and labels of both splits, sorted by task."""
    splits = (dataset.train, dataset.validation)
    tasks = torch.cat([split.tasks for split in splits])
    order = tasks.argsort(stable=True)
    pixels = torch.cat([split.observations["pixels"] for split in splits])[order, :, 0]
    labels = {name: torch.cat([split.labels[name] for split in splits])[order] for name in dataset.train.labels}
    return pixels, tasks[order], labels


@pytest.fixture(scope="module")
def dataset() -> SequenceDataset:
    return MovingDigitsConfig(num_sequences=400).build(FACTS)


def test_the_packed_digits_are_those_of_scikit_learn() -> None:
    images, labels = packed_digits()
    theirs = load_digits()
    assert (images * 16).numpy().tolist() == theirs.images.tolist()
    assert labels.tolist() == theirs.target.tolist()


def test_a_digit_is_drawn_at_its_place_and_around_the_edge() -> None:
    digits = torch.rand(2, 8, 8)
    frames = drawn_frames(digits, torch.tensor([[[0, 0], [3, 4]], [[4, 2], [10, 9]]]), 12)
    canvas = torch.zeros(2, 12, 12)
    canvas[:, :8, :8] = digits
    expected = [[(0, 0), (3, 4)], [(4, 2), (10, 9)]]
    for sequence, places in enumerate(expected):
        for frame, place in enumerate(places):
            assert frames[sequence, frame, 0].equal(canvas[sequence].roll(place, (0, 1)))


def simulated(start: tuple[int, int], velocity: tuple[int, int], last: int, steps: int) -> list[tuple[int, int]]:
    """A ball in a box, moved a pixel at a time, that turns where it touches a wall."""
    position, direction, speed = list(start), [1, 1], [0, 0]
    for axis in (0, 1):
        direction[axis], speed[axis] = (1 if velocity[axis] > 0 else -1), abs(velocity[axis])
    course = [start]
    for _ in range(steps):
        for axis in (0, 1):
            for _ in range(speed[axis]):
                if not 0 <= position[axis] + direction[axis] <= last:
                    direction[axis] = -direction[axis]
                position[axis] += direction[axis]
        course.append((position[0], position[1]))
    return course


def places_of(frames: Tensor, digit: Tensor, wraps: bool) -> list[tuple[int, int]]:
    """Where a digit stands in frames (T+1, H, W), by looking for it everywhere."""
    side = frames.shape[-1]
    canvas = torch.zeros(side, side)
    canvas[:8, :8] = digit
    reach = side if wraps else side - 7
    places = [(row, column) for row in range(reach) for column in range(reach)]
    moved = torch.stack([canvas.roll(place, (0, 1)) for place in places])
    found = (frames[:, None] == moved).flatten(2).all(2)
    assert found.sum(1).eq(1).all()
    return [places[index] for index in found.int().argmax(1).tolist()]


@pytest.mark.parametrize("side", [12, 15])
def test_digits_move_straight_on_and_turn_at_the_edges(side: int) -> None:
    dataset = MovingDigitsConfig(num_sequences=40, side=side).build(FACTS)
    images, _ = packed_digits()
    frames, tasks, _ = whole(dataset)
    num_turns = 0
    for sequence, task in zip(frames, tasks.tolist(), strict=True):
        digit = images[int(dataset.task_names[task].split()[1].rstrip(":"))]
        course = places_of(sequence, digit, wraps=False)
        velocities = [(down, right) for down in range(-3, 4) for right in range(-3, 4)]
        assert course in [simulated(course[0], velocity, side - 8, 3) for velocity in velocities]
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(course)]
        num_turns += len(set(steps)) > 1
    assert num_turns > 20


def test_digits_that_wrap_move_by_one_roll() -> None:
    frames, _, _ = whole(MovingDigitsConfig(num_sequences=40, edges="wrap", side=14).build(FACTS))
    for sequence in frames:
        ways = [(down, right) for down in range(-3, 4) for right in range(-3, 4)]
        rolled = [all(b.equal(a.roll(way, (0, 1))) for a, b in pairwise(sequence)) for way in ways]
        assert sum(rolled) == 1
        assert not rolled[ways.index((0, 0))]


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("side", [12, 13, 20])
def test_sequences_of_a_digit_meet_in_the_last_context_frame_and_part(edges: Any, side: int) -> None:
    frames, tasks, _ = whole(MovingDigitsConfig(num_sequences=120, edges=edges, side=side, motions=6).build(FACTS))
    assert tasks.equal(torch.arange(20).repeat_interleave(6))
    for family in frames.unflatten(0, (20, 6)):
        assert family[:, 2].equal(family[:1, 2].expand(6, -1, -1))
        assert len(family[:, 3].unique(dim=0)) == 6
        assert len(family[:, :3].unique(dim=0)) == 6
        assert not (family[:, 3] == family[:, 2]).flatten(1).all(1).any()


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("context_length", [2, 3])
@pytest.mark.parametrize("side", [12, 13, 14, 20])
def test_a_context_has_one_continuation(edges: Any, context_length: int, side: int) -> None:
    motions = Motions.of(side, edges, context_length)
    num_places, num_speeds = motions.courses.shape[:2]
    for place in range(0, len(motions.is_offered), 5):
        rows, columns = motions.courses[place // num_places], motions.courses[place % num_places]
        all_courses = torch.stack(
            [rows[:, None].expand(-1, num_speeds, -1), columns[None].expand(num_speeds, -1, -1)], -1
        ).flatten(0, 1)
        offered = all_courses[motions.is_offered[place]]
        for one, other in combinations(offered.tolist(), 2):
            assert one[-1] != other[-1]
        for course in offered:
            looks_alike = (all_courses[:, :-1] == course[:-1]).flatten(1).all(1)
            assert (all_courses[looks_alike, -1] == course[-1]).all()


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("context_length", [2, 3, 6])
@pytest.mark.parametrize("side", [12, 13, 17, 64])
def test_there_are_places_enough_for_all_settings(edges: Any, context_length: int, side: int) -> None:
    assert (Motions.of(side, edges, context_length).is_offered.sum(1) >= 8).any()


def test_no_digit_is_in_both_splits_and_labels_are_right(dataset: SequenceDataset) -> None:
    check_dataset(dataset, ImageSpace)
    assert dataset.space == ImageSpace(channels=1, height=20, width=20)
    for split in (dataset.train, dataset.validation):
        named = [int(dataset.task_names[task].split()[-1]) for task in split.tasks.tolist()]
        assert split.labels["digit"].tolist() == named
    assert len(dataset.validation.tasks.unique()) == 10
    assert len(dataset.task_names) == 100


def test_the_direction_is_that_of_the_last_step() -> None:
    config = MovingDigitsConfig(num_sequences=200, edges="wrap", side=12)
    frames, _, labels = whole(config.build(FACTS))
    ways = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
    assert set(labels["direction"].tolist()) == set(range(8))
    for sequence, direction in zip(frames, labels["direction"].tolist(), strict=True):
        down, right = ways[direction]
        reached = [
            sequence[2].roll((down * rows, right * columns), (0, 1)) for rows in (1, 2, 3) for columns in (1, 2, 3)
        ]
        assert any(sequence[3].equal(image) for image in reached)


def test_more_sequences_than_digits_show_a_digit_in_several_places() -> None:
    dataset = MovingDigitsConfig(num_sequences=2000, motions=1).build(FACTS)
    assert len(dataset.task_names) == 1797
    _, counts = torch.cat([dataset.train.tasks, dataset.validation.tasks]).unique(return_counts=True)
    assert counts.tolist() == [2] * 203 + [1] * 1594
    check_dataset(dataset, ImageSpace)


def test_noise_is_seeded_clamped_and_of_its_size() -> None:
    config = MovingDigitsConfig(num_sequences=60, noise=0.1)
    noisy, again = config.build(FACTS), config.build(FACTS)
    assert noisy.fingerprint == again.fingerprint
    check_dataset(noisy, ImageSpace)
    pixels = whole(noisy)[0]
    clean = whole(MovingDigitsConfig(num_sequences=60).build(FACTS))[0]
    inner = (clean > 0.4) & (clean < 0.6)
    assert abs(float((pixels - clean)[inner].std()) - 0.1) < 0.02


def test_another_seed_gives_other_sequences() -> None:
    fingerprints = {MovingDigitsConfig(num_sequences=60, seed=seed).build(FACTS).fingerprint for seed in range(3)}
    assert len(fingerprints) == 3


def mrr_of(dataset: SequenceDataset, config: Any) -> float:
    null = config.build(NullFacts(space=dataset.space, roles=dataset.places()))
    null.fit(training_sample(dataset, torch.device("cpu")))
    candidates = CandidateList(dataset.space, dataset.validation.observations)
    scores: Tensor = null.scores(candidates.context, candidates.candidates)
    return figures_of(candidates.ranks(scores)).mrr


def test_nulls_that_know_no_motion_find_little_and_moving_on_is_wrong_at_the_edges() -> None:
    dataset = MovingDigitsConfig(num_sequences=2000, validation_share=0.2).build(FACTS)
    for config in (LastFrameConfig(), MeanFrameConfig(), FrameExtrapolationConfig()):
        assert mrr_of(dataset, config) < 0.15
    assert 0.3 < mrr_of(dataset, MotionConfig()) < 0.7


def test_where_digits_wrap_moving_on_is_always_right() -> None:
    dataset = MovingDigitsConfig(num_sequences=400, edges="wrap").build(FACTS)
    assert mrr_of(dataset, MotionConfig()) == 1.0


def test_no_near_copy_of_a_target_is_most_like_the_others(dataset: SequenceDataset) -> None:
    validation: Observations = dataset.validation.observations
    hard = HardCandidates.of(dataset.space, validation, dataset.validation.tasks)
    assert hard is not None
    assert hard.is_distinct.float().mean() > 0.95
    assert abs(hard.medoid_mrr - hard.chance_mrr) < 0.1


def test_six_thousand_sequences_take_little_time() -> None:
    start = time.perf_counter()
    MovingDigitsConfig(num_sequences=6000).build(FACTS)
    assert time.perf_counter() - start < 2
