"""Tokens hear nothing of the order of the points, nor of places without one; and they hear where points are."""

from __future__ import annotations

import pytest
import torch

from jepa_core.contracts import Embeddings, Observations
from jepa_core.facts import EncoderFacts
from jepa_points.encoder import PointEncoder, PointEncoderConfig
from jepa_points.space import PointSpace

SPACE = PointSpace(num_points=9)


@pytest.fixture
def encoder() -> PointEncoder:
    torch.manual_seed(0)
    return PointEncoderConfig(dim=16, tokens=3).build(EncoderFacts(space=SPACE))


def encoded(encoder: PointEncoder, points: torch.Tensor, mask: torch.Tensor) -> Embeddings:
    tokens: Embeddings = encoder(Observations({"points": points, "mask": mask}))
    return tokens


def test_points_in_another_order_give_the_same_tokens(encoder: PointEncoder) -> None:
    sets = SPACE.sample(20)
    order = torch.randperm(9)
    tokens = encoded(encoder, sets["points"], sets["mask"])
    torch.testing.assert_close(
        encoded(encoder, sets["points"][:, order], sets["mask"][:, order]).values, tokens.values, atol=1e-5, rtol=1e-5
    )


def test_what_stands_at_masked_places_has_no_influence(encoder: PointEncoder) -> None:
    sets = SPACE.sample(20)
    tokens = encoded(encoder, sets["points"], sets["mask"])
    for soil in (1e6, torch.inf, torch.nan):
        soiled = torch.where(sets["mask"].unsqueeze(-1), sets["points"], soil)
        assert encoded(encoder, soiled, sets["mask"]).values.equal(tokens.values)
    fewer = PointSpace(num_points=12).fitted(sets)
    torch.testing.assert_close(encoded(encoder, fewer["points"], fewer["mask"]).values, tokens.values)


def test_a_set_without_points_has_no_real_token(encoder: PointEncoder) -> None:
    tokens = encoded(encoder, torch.zeros(2, 9, 3), torch.zeros(2, 9, dtype=torch.bool))
    assert not tokens.mask.any()
    assert not tokens.values.any()
    assert encoded(encoder, torch.zeros(2, 9, 3), torch.eye(9, dtype=torch.bool)[:2]).mask.all()


def test_a_move_and_a_missing_point_change_tokens(encoder: PointEncoder) -> None:
    sets = SPACE.sample(20, "all")
    tokens = encoded(encoder, sets["points"], sets["mask"]).values
    fewer = sets["mask"].clone()
    fewer[:, 0] = False
    for changed in (encoded(encoder, sets["points"] + 0.1, sets["mask"]), encoded(encoder, sets["points"], fewer)):
        assert ((changed.values - tokens).abs().amax((1, 2)) > 1e-3).all()
