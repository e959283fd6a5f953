"""What the seed read off grids, and the three ways it changed that."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.contracts import Observations, Reading
from jepa_core.facts import EncoderFacts
from jepa_plugins.grids.object_features import find_objects
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.seed.object_features import (
    exchange_colours,
    exchange_colours_together,
    mirror_objects,
    move_objects,
)
from jepa_plugins.seed.objects import SeedObjects, SeedObjectsConfig

GRID = torch.tensor([[[0, 3, 3, 0], [0, 3, 0, 0], [7, 0, 0, 0], [0, 0, 0, 0]]], dtype=torch.uint8)


def encoder(*, one_column_per_colour: bool = False) -> SeedObjects:
    config = SeedObjectsConfig(
        dim=16, layers=1, heads=2, max_objects=4, one_column_per_colour=one_column_per_colour, dropout=0.0
    )
    return config.build(EncoderFacts(space=GridSpace(side=4)))


def reading(*, one_column_per_colour: bool = False) -> Reading:
    return encoder(one_column_per_colour=one_column_per_colour).read(
        Observations({"grid": GRID, "size": torch.tensor([[4, 4]])})
    )


def drawn_features(num_grids: int = 3) -> Tensor:
    torch.manual_seed(0)
    grids = torch.randint(0, 10, (8 * num_grids, 9, 9), dtype=torch.uint8)
    sizes = torch.full((8 * num_grids, 2), 9)
    seed_objects = SeedObjectsConfig(dim=8, heads=1).build(EncoderFacts(space=GridSpace(side=9)))
    read = seed_objects.read(Observations({"grid": grids, "size": sizes}))
    features: Tensor = read["features"].unflatten(0, (8, num_grids))
    return features


def test_the_colour_is_its_number_and_the_first_column_repeats_the_area() -> None:
    features = reading()["features"][0]
    l_shape = [3 / 16, 8 / 16, 2 / 4, 2 / 4, 1, 1, 3, (0 + 0 + 1) / 3 / 4, (1 + 2 + 1) / 3 / 4, 0, 1 / 4, 1 / 4, 2 / 4]
    single = [1 / 16, 4 / 16, 1 / 4, 1 / 4, 1, 1, 7, 2 / 4, 0, 2 / 4, 0, 2 / 4, 0]
    torch.testing.assert_close(features[0], torch.tensor([*l_shape, 3 / 16, *[0.0] * 9]))
    torch.testing.assert_close(features[1], torch.tensor([*single, 1 / 16, *[0.0] * 9]))
    assert not features[2:].any()


def test_boxes_that_touch_at_a_corner_are_neighbours_and_empty_slots_are_not() -> None:
    neighbours = reading()["neighbours"][0]
    assert neighbours[0, 1]
    assert neighbours[1, 0]
    assert not neighbours[2:].any()


def test_mended_features_are_those_of_the_built_in_encoder() -> None:
    expected = find_objects(GRID, torch.tensor([[4, 4]]), max_objects=4).features
    torch.testing.assert_close(reading(one_column_per_colour=True)["features"], expected)


def test_without_a_last_norm_a_colour_of_greater_number_makes_a_longer_token() -> None:
    embeddings = encoder().eval().embed(reading())
    torch.testing.assert_close(embeddings.values[0, 2:], torch.zeros(2, 16))
    assert _token_of_colour(9).norm() > 1.3 * _token_of_colour(1).norm()


def _token_of_colour(colour: int) -> Tensor:
    torch.manual_seed(0)
    grid = torch.zeros(1, 4, 4, dtype=torch.uint8)
    grid[0, 1, 1] = colour
    token: Tensor = encoder().eval()(Observations({"grid": grid, "size": torch.tensor([[4, 4]])})).values[0, 0]
    return token


def test_exchanged_colours_are_one_permutation_for_all_and_columns_another() -> None:
    features = drawn_features()
    torch.manual_seed(3)
    changed = exchange_colours(features)
    before, after = features[..., 6].flatten(), changed[..., 6].flatten()
    becomes = {(int(a), int(b)) for a, b in zip(before, after, strict=True)}
    assert len(becomes) == len({a for a, _ in becomes}) == len({b for _, b in becomes})
    assert any(a != b for a, b in becomes)
    torch.testing.assert_close(changed[..., :6], features[..., :6])
    torch.testing.assert_close(changed[..., 7:13], features[..., 7:13])
    columns = changed[..., 13:].flatten(0, -2)
    assert (columns != 0).any(0).sum() == 1, "the only column that is used has gone to one place for all"
    torch.testing.assert_close(columns.sum(-1), features[..., 13].flatten())


def test_mended_features_exchange_number_and_column_together() -> None:
    features = torch.zeros(10, 23)
    features[:, 6] = torch.arange(10) / 9
    features[:, 13:] = torch.eye(10)
    torch.manual_seed(3)
    changed = exchange_colours_together(features)
    assert changed[:, 13:].argmax(-1).tolist() == (9 * changed[:, 6]).round().long().tolist()
    assert changed[:, 13:].argmax(-1).tolist() != list(range(10))


def test_every_object_moves_on_its_own_as_a_whole_and_stays_on_the_grid() -> None:
    features = drawn_features()
    features[..., 7:13] = 0.5
    shift = (move_objects(features) - features)[..., 7:13]
    assert shift.abs().max() <= 0.1 + 1e-6
    for of_axis in (shift[..., 0::2], shift[..., 1::2]):
        torch.testing.assert_close(of_axis, of_axis[..., :1].expand_as(of_axis))
    assert len(shift[..., 0].unique()) > 100
    features[..., 7:13] = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    moved = move_objects(features)[..., 7:13]
    assert moved.min() >= 0
    assert moved.max() <= 1


def test_mirroring_takes_one_axis_for_all_and_twice_is_nothing() -> None:
    features = drawn_features()
    axes = set()
    for seed in range(8):
        torch.manual_seed(seed)
        mirrored = mirror_objects(features)
        places, was = mirrored[..., 7:13], features[..., 7:13]
        is_vertical = torch.equal(places[..., 1::2], was[..., 1::2])
        axes.add(is_vertical)
        axis = slice(0, None, 2) if is_vertical else slice(1, None, 2)
        expected = torch.stack([1 - was[..., axis][..., 0], 1 - was[..., axis][..., 2], 1 - was[..., axis][..., 1]], -1)
        torch.testing.assert_close(places[..., axis], expected)
        torch.manual_seed(seed)
        torch.testing.assert_close(mirror_objects(mirrored), features)
    assert axes == {True, False}


def test_context_and_target_have_draws_of_their_own() -> None:
    features = drawn_features()
    change = encoder().reading_views()["colours"]
    differs = []
    for seed in range(5):
        torch.manual_seed(seed)
        changed = change({"features": features})["features"]
        maps = [
            {
                (int(a), int(b))
                for a, b in zip(features[:, grids, :, 6].flatten(), changed[:, grids, :, 6].flatten(), strict=True)
            }
            for grids in (slice(0, 1), slice(1, 2), slice(2, 3))
        ]
        assert maps[0] == maps[1]
        differs.append(maps[1] != maps[2])
    assert all(differs)
