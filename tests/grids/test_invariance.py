from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from jepa_core.contracts import DeclaresViews, Observations, View
from jepa_core.facts import LossFacts
from jepa_plugins.grids.invariance import Invariance, InvarianceConfig
from tests.losses.forwards import random_forward


def build(**weights: float) -> Invariance:
    facts = LossFacts(embedding_dim=4, projection_dim=6, context_length=3, num_tokens=5, batch_size=8)
    return InvarianceConfig(**weights).build(facts)


def sequence() -> Observations:
    """Two sequences of two 5 × 5 grids with content in the middle, in a frame of 6 × 6."""
    grids = torch.full((2, 2, 6, 6), 10, dtype=torch.uint8)
    grids[..., :5, :5] = 0
    grids[..., 2, 2] = 3
    grids[..., 2, 1] = 7
    grids[..., 1, 1] = 4
    return Observations({"grid": grids, "size": torch.full((2, 2, 2), 5)})


def test_it_is_the_weighted_mean_of_one_minus_the_cosine_of_both_sides() -> None:
    forward = random_forward()
    weights = {"colours": 0.3, "translation": 0.2, "flips": 0.7}
    expected = 0.0
    for name, weight in weights.items():
        view = forward.views[name]
        context = 1 - F.cosine_similarity(view.z_context, forward.z_context).mean().item()
        target = 1 - F.cosine_similarity(view.z_target, forward.z_target).mean().item()
        expected += weight * (context + target) / 2
    term = build(**weights)(forward)
    assert term.value.item() == pytest.approx(expected, rel=1e-5)
    assert set(term.figures) == {"invariance.colours", "invariance.translation", "invariance.flips"}


def test_equal_views_cost_nothing() -> None:
    forward = random_forward()
    same = View(z_context=2 * forward.z_context, z_target=forward.z_target, state=forward.state, target=forward.target)
    term = build(colours=1.0, translation=0.0, flips=0.0)(replace(forward, views={"colours": same}))
    assert term.value.item() == pytest.approx(0, abs=1e-6)


def test_the_gradient_reaches_both_sides_of_a_view_and_the_batch_itself() -> None:
    forward = random_forward()
    build()(forward).value.backward()
    view = forward.views["flips"]
    for leaf in (view.z_context, view.z_target, forward.z_context):
        assert leaf.grad is not None
        assert leaf.grad.any()


@pytest.mark.parametrize("absent", ["colours", "translation", "flips"])
def test_a_weight_of_zero_asks_for_no_view(absent: str) -> None:
    loss = build(**{absent: 0.0})
    assert isinstance(loss, DeclaresViews)
    assert set(loss.views()) == {"colours", "translation", "flips"} - {absent}


def test_all_weights_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="one of colours, translation, flips must be > 0"):
        InvarianceConfig(colours=0.0, translation=0.0, flips=0.0)


def test_exchanged_colours_keep_shapes_and_the_background() -> None:
    torch.manual_seed(0)
    batch = sequence()
    view = build().views()["colours"](batch)
    grids, changed = batch["grid"], view["grid"]
    assert torch.equal(view["size"], batch["size"])
    assert torch.equal(changed == 0, grids == 0)
    assert torch.equal(changed == 10, grids == 10)
    assert not torch.equal(changed, grids)
    assert torch.equal(changed[:, 0], changed[:, 1])


def test_moved_content_keeps_its_colours_and_goes_no_farther_than_allowed() -> None:
    torch.manual_seed(0)
    batch = sequence()
    move = build(translation_max=0.2).views()["translation"]
    moved = torch.stack([move(batch)["grid"] for _ in range(20)])
    for colour in (3, 4, 7):
        assert ((moved == colour).flatten(3).sum(-1) == 1).all()
    rows, columns = [(moved == 3).nonzero()[:, axis] for axis in (-2, -1)]
    assert set(rows.tolist()) <= {1, 2, 3}
    assert set(columns.tolist()) <= {1, 2, 3}
    assert len(set(rows.tolist())) > 1


def test_every_mirrored_sequence_differs_from_the_original() -> None:
    torch.manual_seed(0)
    batch = sequence()
    mirror = build().views()["flips"]
    seen = [mirror(batch)["grid"] for _ in range(10)]
    assert all((mirrored != batch["grid"]).flatten(1).any(1).all() for mirrored in seen)
    assert len({bytes(mirrored.numpy().tobytes()) for mirrored in seen}) > 2
