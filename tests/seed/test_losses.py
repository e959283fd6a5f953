"""The seed's losses against plain formulas."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from jepa_core.contracts import Embeddings, JudgesWholeSet
from jepa_core.facts import LossFacts
from jepa_plugins.seed.info_nce import SeedInfoNceConfig
from jepa_plugins.seed.invariance import SeedInvarianceConfig
from jepa_plugins.seed.relational import SeedRelationalConfig
from jepa_plugins.seed.sigreg import SeedSigregConfig
from tests.losses.forwards import DIM, NUM_CONTEXT, NUM_TOKENS, PROJECTION, random_forward

BATCH = 8


def facts(weight: float = 1.0, projection: int = PROJECTION) -> LossFacts:
    return LossFacts(
        embedding_dim=DIM,
        projection_dim=projection,
        context_length=NUM_CONTEXT,
        num_tokens=NUM_TOKENS,
        batch_size=BATCH,
        weight=weight,
    )


def test_relational_is_the_mean_over_all_entries_of_adjacent_objects() -> None:
    forward = random_forward(BATCH)
    context, target = forward.context_embeddings, forward.target_tokens
    near = torch.rand(BATCH, NUM_CONTEXT, NUM_TOKENS, NUM_TOKENS) < 0.5
    near_target = torch.rand(BATCH, NUM_TOKENS, NUM_TOKENS) < 0.5
    near, near_target = near | near.transpose(-1, -2), near_target | near_target.transpose(-1, -2)
    forward = replace(
        forward,
        context_embeddings=Embeddings(context.values, context.mask, near),
        target_tokens=Embeddings(target.values, target.mask, near_target),
    )

    def distances(values: torch.Tensor, mask: torch.Tensor, adjacent: torch.Tensor) -> torch.Tensor:
        entries = torch.zeros(NUM_TOKENS, NUM_TOKENS)
        for i in range(NUM_TOKENS):
            for j in range(NUM_TOKENS):
                if adjacent[i, j] and mask[i] and mask[j]:
                    entries[i, j] = (values[i] - values[j]).square().sum()
        return entries

    to_target, to_mean = [], []
    for b in range(BATCH):
        grids = torch.stack(
            [
                distances(forward.context_quantized.values[b, t].detach(), context.mask[b, t], near[b, t])
                for t in range(NUM_CONTEXT)
            ]
        )
        of_target = distances(target.values[b], target.mask[b], near_target[b])
        to_target.append((grids.mean(0) - of_target).square().mean())
        to_mean.append((grids - grids.mean(0)).square().mean())
    loss = SeedRelationalConfig(context_self_weight=0.005).build(facts(weight=0.02))
    expected = 0.02 * torch.stack(to_target).mean() + 0.005 * torch.stack(to_mean).mean()
    torch.testing.assert_close(0.02 * loss(forward).value, expected)


def test_relational_grows_with_the_fourth_power_of_the_scale() -> None:
    loss = SeedRelationalConfig().build(facts())
    once, twice = loss(random_forward(BATCH)).value, loss(random_forward(BATCH, scale=2.0)).value
    torch.testing.assert_close(twice, 16 * once, rtol=1e-4, atol=0)


def test_invariance_is_the_squared_difference_of_states_on_both_sides() -> None:
    forward = random_forward(BATCH)
    weights = {"colours": 0.1, "translation": 0.05, "flips": 0.05}
    expected = sum(
        weight
        * (
            (forward.views[name].state - forward.state).square().mean()
            + (forward.views[name].target - forward.target).square().mean()
        )
        for name, weight in weights.items()
    )
    torch.testing.assert_close(SeedInvarianceConfig().build(facts())(forward).value, expected)


def test_invariance_has_a_gradient_at_both_ends_of_the_online_side_and_none_at_the_target() -> None:
    forward = random_forward(BATCH)
    state, target = forward.state.requires_grad_(), forward.target.requires_grad_()
    SeedInvarianceConfig().build(facts())(forward).value.backward()
    assert state.grad is not None
    assert state.grad.any()
    assert target.grad is None
    for view in forward.views.values():
        assert view.state.grad is not None
        assert view.target.grad is not None


def test_invariance_asks_for_the_views_that_weigh_something() -> None:
    assert SeedInvarianceConfig(translation=0.0).build(facts()).encoder_views() == ("colours", "flips")
    with pytest.raises(ValueError, match="one of colours, translation, flips"):
        SeedInvarianceConfig(colours=0.0, translation=0.0, flips=0.0)


def test_contrast_has_the_batch_and_the_filled_part_of_the_queue_among_its_candidates() -> None:
    loss = SeedInfoNceConfig(queue=20).build(facts())
    earlier = random_forward(12, seed=1)
    statistics = loss(earlier).statistics
    assert statistics is not None
    loss.after_step(statistics)
    forward = random_forward(BATCH)
    queries, own = F.normalize(forward.z_context.detach(), dim=-1), F.normalize(forward.z_target, dim=-1)
    queue = F.normalize(earlier.z_target, dim=-1)
    terms = []
    for b in range(BATCH):
        similarities = [float(queries[b] @ key) / 0.07 for key in (*own, *queue)]
        terms.append(math.log(sum(math.exp(s - similarities[b]) for s in similarities)))
    assert float(loss(forward).value.detach()) == pytest.approx(sum(terms) / BATCH, rel=1e-4)
    assert isinstance(loss, JudgesWholeSet)
    assert loss.total_from_batches


def test_sigreg_is_constant_near_its_value_for_a_point_whatever_the_embeddings() -> None:
    loss = SeedSigregConfig().build(facts(projection=256))
    at_zero = math.sqrt(2 * math.pi) - 2 * math.sqrt(math.pi) + math.sqrt(2 * math.pi / 3)
    for draw in (torch.randn(64, 256), torch.rand(64, 256), torch.ones(64, 256), 100 * torch.randn(64, 256)):
        forward = replace(random_forward(64), z_context=draw)
        assert float(loss(forward).value) == pytest.approx(at_zero, abs=0.01)
