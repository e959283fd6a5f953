"""Bodies are rigid and move as it is said; the nulls predict what they name; a rotation turns whole sequences."""

from __future__ import annotations

import pytest
import torch

from jepa_core.dataset_checks import check_dataset
from jepa_core.facts import AugmentationFacts, DatasetFacts, NullFacts, frames
from jepa_core.observations import Observations
from jepa_points.augmentation import RotatePointsConfig
from jepa_points.dataset import PointCloudsConfig
from jepa_points.nulls import LastPointsConfig, MovedPointsConfig
from jepa_points.point_sets import chamfer, middle
from jepa_points.rotations import about_axis, rotations_of
from jepa_points.shapes import SHAPES
from jepa_points.space import PointSpace

FACTS = DatasetFacts(seed=0)
WHOLE = PointCloudsConfig(num_sequences=40, points=12, missing=0.0, noise=0.0, validation_share=0.5)
FRAMES = NullFacts(space=PointSpace(num_points=12), roles=frames(5))


def distances(sets: Observations) -> torch.Tensor:
    """All distances between two points of a set, the same whatever the order: sorted."""
    return (
        torch.cdist(sets["points"], sets["points"], compute_mode="donot_use_mm_for_euclid_dist").flatten(-2).sort(-1)[0]
    )


def test_a_body_keeps_its_distances_from_frame_to_frame_and_from_course_to_course() -> None:
    train = WHOLE.build(FACTS).train
    first = distances(train.observations)
    torch.testing.assert_close(first, first[:, :1].expand_as(first), atol=1e-4, rtol=0)
    torch.testing.assert_close(first[::2], first[1::2], atol=1e-4, rtol=0)
    assert train.tasks[::2].equal(train.tasks[1::2])


def test_it_is_a_dataset_some_points_are_missing_and_shapes_are_labels() -> None:
    dataset = PointCloudsConfig(num_sequences=400).build(FACTS)
    check_dataset(dataset, PointSpace)
    mask = dataset.train.observations["mask"]
    assert 0.75 < float(mask.float().mean()) < 0.85
    assert dataset.train.labels["shape"].unique().tolist() == list(range(len(SHAPES)))
    assert mask.any(-1).all()
    sparse = PointCloudsConfig(num_sequences=40, points=2, missing=0.9).build(FACTS)
    assert sparse.train.observations["mask"].any(-1).all()


def test_the_order_of_the_points_is_another_in_every_frame() -> None:
    still = PointCloudsConfig(num_sequences=40, turn=0, speed=0, noise=0, missing=0).build(FACTS).train.observations
    assert (PointSpace(num_points=32).keys(still) == PointSpace(num_points=32).keys(still[:, :1])).float().mean() == 1
    assert (still["points"][:, 0] != still["points"][:, 1]).flatten(1).any(1).all()


@pytest.mark.parametrize("axis", ["any", "z"])
def test_a_rotation_turns_all_frames_of_a_sequence_alike(axis: str) -> None:
    batch = WHOLE.build(FACTS).train.observations
    rotate = RotatePointsConfig(axis=axis).build(AugmentationFacts(space=FRAMES.space, roles=FRAMES.roles))  # type: ignore[arg-type]
    torch.manual_seed(0)
    turned = rotate(batch)
    before, after = (each["points"].flatten(1, 2).double() for each in (batch, turned))
    torch.testing.assert_close(torch.cdist(after, after), torch.cdist(before, before), atol=1e-3, rtol=0)
    assert (after - before).abs().amax((1, 2)).min() > 1e-3
    assert (axis == "z") == torch.allclose(after[..., 2], before[..., 2], atol=1e-5)


def test_rotations_keep_lengths_and_hands_and_turn_by_their_angle() -> None:
    torch.manual_seed(0)
    rotations = rotations_of(torch.randn(50, 4))
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand(50, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(50))
    angles = torch.linspace(0, 3, 50)
    about = about_axis(torch.randn(50, 3), angles)
    torch.testing.assert_close((about.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2, angles.cos(), atol=1e-5, rtol=0)


def test_what_stands_still_is_the_last_and_what_moves_on_a_line_is_moved() -> None:
    for config, settings in ((LastPointsConfig(), {"speed": 0.0}), (MovedPointsConfig(), {"speed": 0.3})):
        data = PointCloudsConfig(num_sequences=40, turn=0, points=12, missing=0, noise=0, **settings)  # type: ignore[arg-type]
        observed = data.build(FACTS).train.observations
        null = config.build(FRAMES)
        assert null is not None
        scores = null.scores(observed[:, :-1], observed[:, -1])
        torch.testing.assert_close(scores.diagonal(), torch.zeros(len(observed)), atol=1e-5, rtol=0)
        assert (scores.fill_diagonal_(-1) < -1e-3).all()


def test_a_null_scores_by_the_chamfer_distance_from_what_it_predicts() -> None:
    observed = PointCloudsConfig(num_sequences=20, points=12).build(FACTS).train.observations
    context, targets = observed[:, :-1], observed[:, -1]
    middles = middle(context["points"], context["mask"])
    moved = context["points"][:, -1] + (middles[:, -1] - middles[:, -2]).unsqueeze(1)
    predicted = Observations({"points": moved, "mask": context["mask"][:, -1]})
    null = MovedPointsConfig().build(FRAMES)
    assert null is not None
    expected = -chamfer(*(sets.map(lambda tensor: tensor.unsqueeze(0)) for sets in (predicted, targets)))[0]
    torch.testing.assert_close(null.scores(context, targets), expected)


def test_pairs_and_a_context_of_one_have_no_motion() -> None:
    space = PointSpace(num_points=12)
    assert MovedPointsConfig().build(NullFacts(space=space, roles=frames(2))) is None
    assert MovedPointsConfig().build(NullFacts(space=space, roles=("input", "output", "input", "output"))) is None


def test_fewer_than_two_bodies_are_refused() -> None:
    with pytest.raises(ValueError, match="courses must be fewer than num_sequences 4, for two bodies"):
        PointCloudsConfig(num_sequences=4, courses=4)
