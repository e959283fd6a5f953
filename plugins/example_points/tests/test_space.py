"""What the space promises: no order, no say of places without a point, edits that are small and never nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jepa_core.errors import DataError
from jepa_core.observations import Observations
from jepa_core.spaces import Fill, Space, space_of, space_state
from jepa_points.space import PointSpace

SPACE = PointSpace(num_points=9)


def sequences(num: int = 6, places: int = 4, space: PointSpace = SPACE, fill: Fill = "some") -> Observations:
    torch.manual_seed(0)
    return space.sample(num * places, fill).map(lambda tensor: tensor.unflatten(0, (num, places)))


def shuffled(sets: Observations) -> Observations:
    """Each set's points in another order."""
    order = torch.rand(sets["mask"].shape).argsort(-1)
    return Observations(
        {
            "points": sets["points"].take_along_dim(order.unsqueeze(-1), -2),
            "mask": sets["mask"].take_along_dim(order, -1),
        }
    )


def test_it_is_a_space_that_a_checkpoint_gives_back() -> None:
    assert isinstance(SPACE, Space)
    assert space_of(space_state(SPACE), PointSpace) == SPACE
    assert [example.num_points for example in PointSpace.examples()] == [9, 1]
    assert SPACE.describe() == "sets of up to 9 points"
    assert PointSpace(num_points=1).describe() == "sets of up to 1 point"


@pytest.mark.parametrize("fill", ["some", "none", "all"])
@pytest.mark.parametrize("space", PointSpace.examples())
def test_a_sample_is_of_the_space(space: PointSpace, fill: Fill) -> None:
    drawn = sequences(20, 4, space, fill)
    space.check(drawn)
    share = float(drawn["mask"].float().mean())
    assert {"some": 0.5 < share < 0.9, "none": share == 0, "all": share == 1}[fill]


def with_coordinate(value: float) -> dict[str, Tensor]:
    points = torch.zeros(2, 2, 9, 3)
    points[1, 0, 4, 2] = value
    return {"points": points}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"points": torch.zeros(2, 2, 9, 3).double()}, "points are torch.float64"),
        ({"mask": torch.ones(2, 2, 9)}, "mask is torch.float32"),
        ({"points": torch.zeros(2, 2, 9, 2)}, r"sets are \(9, 2\) with a mask \(9,\), not \(9, 3\)"),
        ({"mask": torch.ones(2, 2, 8, dtype=torch.bool)}, r"with a mask \(8,\)"),
        ({"colour": torch.zeros(2, 2, 9)}, "its tensors are colour, mask, points"),
        (with_coordinate(torch.nan), r"nan at points\[1, 0, 4, 2\], is not finite"),
        (with_coordinate(3.0) | {"mask": torch.zeros(2, 2, 9, dtype=torch.bool)}, "without a point .*put 0 there"),
    ],
)
def test_what_is_not_of_the_space_is_refused_with_the_place(changed: dict[str, Tensor], message: str) -> None:
    good = {"points": torch.zeros(2, 2, 9, 3), "mask": torch.ones(2, 2, 9, dtype=torch.bool)}
    SPACE.check(Observations(good))
    with pytest.raises(ValueError, match=message):
        SPACE.check(Observations(good | changed))


def test_keys_are_equal_for_the_same_points_in_another_order_and_for_no_others() -> None:
    sets = sequences()
    keys = SPACE.keys(sets)
    assert keys.shape == (6, 4)
    assert SPACE.keys(shuffled(sets)).equal(keys)
    assert len(keys.unique()) == keys.numel()
    # The opposite of every point, and coordinates exchanged, are other sets.
    for changed in (-sets["points"], sets["points"].flip(-1)):
        assert (SPACE.keys(Observations({"points": changed, "mask": sets["mask"]})) != keys).all()


def test_keys_hear_nothing_of_masked_places_and_of_the_sign_of_zero() -> None:
    sets = sequences()
    soiled = torch.where(sets["mask"].unsqueeze(-1), sets["points"], 7.0)
    assert SPACE.keys(Observations({"points": soiled, "mask": sets["mask"]})).equal(SPACE.keys(sets))
    zero = Observations({"points": torch.zeros(1, 9, 3), "mask": torch.ones(1, 9, dtype=torch.bool)})
    assert SPACE.keys(zero.map(lambda tensor: -tensor if tensor.is_floating_point() else tensor)).equal(
        SPACE.keys(zero)
    )


def test_keys_of_many_near_sets_do_not_meet() -> None:
    points = torch.zeros(100_000, 1, 3)
    points[:, 0] = torch.cartesian_prod(*[torch.arange(50.0)] * 3)[:100_000]
    sets = Observations({"points": points, "mask": torch.ones(100_000, 1, dtype=torch.bool)})
    assert len(PointSpace(num_points=1).keys(sets).unique()) == 100_000


def test_likeness_is_one_with_itself_whatever_the_order_and_falls_with_distance() -> None:
    torch.manual_seed(0)
    one = SPACE.sample(1, "all")
    moved = [Observations({"points": one["points"] + step, "mask": one["mask"]}) for step in (0.1, 1.0)]
    lists = Observations.cat([one, shuffled(one), *moved]).map(lambda tensor: tensor.unsqueeze(0))
    (alike,) = SPACE.alike(lists)
    assert alike.equal(alike.T)
    torch.testing.assert_close(alike[0, :2], torch.ones(2))
    assert 1 > alike[0, 2] > alike[0, 3] > 0


def test_smaller_sets_are_filled_up_and_spare_places_are_taken_away() -> None:
    given = sequences()
    wider = PointSpace(num_points=12).fitted(given)
    PointSpace(num_points=12).check(wider)
    back = SPACE.fitted(wider)
    SPACE.check(back)
    for fitted in (wider, back):
        assert SPACE.keys(fitted).equal(SPACE.keys(given))


def test_sets_with_more_points_than_places_are_refused() -> None:
    with pytest.raises(DataError, match="take sets of up to 8 points, and this data has a set of 9"):
        PointSpace(num_points=8).fitted(sequences(fill="all"))


@pytest.mark.parametrize("fill", ["some", "none", "all"])
@pytest.mark.parametrize("space", PointSpace.examples())
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e5])
@pytest.mark.parametrize("level", [0.0, 1e4])
def test_an_edit_is_another_set_of_the_space(space: PointSpace, fill: Fill, scale: float, level: float) -> None:
    given = sequences(20, 3, space, fill)
    points = torch.where(given["mask"].unsqueeze(-1), scale * given["points"] + level, 0.0)
    given = Observations({"points": points, "mask": given["mask"]})
    before = given.map(torch.clone)
    edit, sets = space.editor(given), given[:, -1]
    for _ in range(4):
        changed = edit(sets)
        assert (space.keys(changed) != space.keys(sets)).all()
        space.check(changed.map(lambda tensor: tensor.unsqueeze(1)))
        sets = changed
    assert all(before[name].equal(tensor) for name, tensor in given.tensors.items())


def test_an_edit_keeps_every_distance_within_a_set() -> None:
    given = sequences(40, 3)
    sets = given[:, -1]
    changed = SPACE.editor(given)(sets)
    pairs = sets["mask"].unsqueeze(1) & sets["mask"].unsqueeze(2)
    before, after = (torch.cdist(each["points"], each["points"]) for each in (sets, changed))
    torch.testing.assert_close(after[pairs], before[pairs], atol=1e-3, rtol=0)
    assert changed["mask"].equal(sets["mask"])


def test_the_audit_tells_points_and_size_and_warns_of_empty_sets() -> None:
    audit = SPACE.audit(sequences(fill="all"), None)
    assert dict(audit.lines)["points"] == "9 · 9 · 9 of 9 (least, median, most)"
    assert audit.findings == ()
    assert [finding.name for finding in SPACE.audit(sequences(fill="none"), None).findings] == ["empty sets"]
    huge = sequences(fill="all").map(lambda tensor: 1e4 * tensor if tensor.is_floating_point() else tensor)
    assert [finding.name for finding in SPACE.audit(huge, None).findings] == ["size of sets"]
