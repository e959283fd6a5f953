from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from torch import Tensor

from jepa_core.contracts import Embeddings, Forward
from jepa_core.facts import LossFacts
from jepa_plugins.losses.relational import Relational, RelationalConfig, distance_profiles, profile_difference
from tests.losses.forwards import NUM_TOKENS, random_forward


def build(**fields: Any) -> Relational:
    facts = LossFacts(embedding_dim=4, projection_dim=6, context_length=3, num_tokens=5, batch_size=8)
    return RelationalConfig(**fields).build(facts)


def squared_distance(a: Tensor, b: Tensor) -> float:
    return (a - b).square().sum().item()


def grids_of(forward: Forward, sequence: int) -> tuple[list[tuple[Tensor, Tensor]], tuple[Tensor, Tensor]]:
    """Context grids and target grid of a sequence, each as tokens and mask."""
    values, mask = forward.context_quantized.values.detach(), forward.context_embeddings.mask
    context = [(values[sequence, t], mask[sequence, t]) for t in range(values.shape[1])]
    return context, (forward.target_tokens.values[sequence], forward.target_tokens.mask[sequence])


def relative_distances(grid: tuple[Tensor, Tensor]) -> list[float]:
    tokens = grid[0][grid[1]]
    distances = [squared_distance(a, b) for a, b in combinations(tokens, 2)]
    mean = sum(distances) / max(len(distances), 1)
    return [distance / mean for distance in distances]


def normalized_difference(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> float | None:
    a, b = relative_distances(x), relative_distances(y)
    return float(wasserstein_distance(a, b)) if a and b else None


def paired_difference(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> float | None:
    real = (x[1] & y[1]).nonzero()[:, 0].tolist()
    differences = [
        (squared_distance(x[0][i], x[0][j]) - squared_distance(y[0][i], y[0][j])) ** 2 for i, j in combinations(real, 2)
    ]
    return sum(differences) / len(differences) if differences else None


@pytest.mark.parametrize(
    ("normalized", "difference", "tolerance"), [(True, normalized_difference, 0.03), (False, paired_difference, 1e-4)]
)
def test_it_equals_the_formula_pair_by_pair(normalized: bool, difference: Any, tolerance: float) -> None:
    forward = random_forward()
    to_target, to_next = [], []
    for sequence in range(8):
        context, target = grids_of(forward, sequence)
        to_target += [difference(grid, target) for grid in context]
        to_next += [difference(a, b) for a, b in pairwise(context)]
    means = [
        sum(counted) / len(counted)
        for counted in ([d for d in found if d is not None] for found in (to_target, to_next))
    ]
    term = build(normalized=normalized, context_self_weight=0.5)(forward)
    assert term.value.item() == pytest.approx(means[0] + 0.5 * means[1], rel=tolerance)
    assert term.figures["relational.context"].item() == pytest.approx(means[1], rel=tolerance)


def scaled(forward: Forward, factor: float) -> Forward:
    values = forward.context_quantized.values * factor
    return replace(forward, context_quantized=replace(forward.context_quantized, values=values))


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-2, 1e3), st.integers(0, 99))
def test_normalized_it_does_not_change_with_the_scale(factor: float, seed: int) -> None:
    forward = random_forward(4, seed=seed)
    torch.testing.assert_close(build()(scaled(forward, factor)).value, build()(forward).value, rtol=1e-4, atol=1e-5)


def test_not_normalized_it_grows_with_the_fourth_power_of_the_scale() -> None:
    forward = random_forward()
    target = replace(forward.target_tokens, values=forward.target_tokens.values * 3)
    larger = replace(scaled(forward, 3.0), target_tokens=target)
    plain = build(normalized=False)
    torch.testing.assert_close(plain(larger).value, 81 * plain(forward).value)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(NUM_TOKENS)), st.integers(0, 99))
def test_normalized_it_does_not_change_with_the_order_of_objects(order: list[int], seed: int) -> None:
    forward = random_forward(4, seed=seed)
    target = forward.target_tokens
    shuffled = replace(forward, target_tokens=Embeddings(target.values[:, order], target.mask[:, order]))
    torch.testing.assert_close(build()(shuffled).value, build()(forward).value, rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.floats(0.1, 100))
def test_normalized_it_stays_within_its_range(seed: int, outlier: float) -> None:
    forward = random_forward(4, seed=seed)
    values = forward.context_quantized.values.detach().clone()
    values[:, :, 0] *= outlier
    far = replace(forward, context_quantized=replace(forward.context_quantized, values=values))
    assert 0 <= build(context_self_weight=0.0)(far).value <= 2


def test_a_moved_and_turned_copy_of_a_grid_does_not_differ_from_it() -> None:
    torch.manual_seed(0)
    grid, mask = torch.randn(1, NUM_TOKENS, 4), torch.tensor([[True] * 4 + [False]])
    turned = grid @ torch.linalg.qr(torch.randn(4, 4)).Q + 2
    profiles, of_turned = (distance_profiles(tokens * mask[..., None], mask) for tokens in (grid, turned))
    assert profile_difference(profiles, of_turned) < 1e-4


@pytest.mark.parametrize("normalized", [True, False])
def test_grids_with_fewer_than_two_objects_do_not_count(normalized: bool) -> None:
    forward = random_forward(4, real=1.0)
    mask, target_mask = forward.context_embeddings.mask.clone(), forward.target_tokens.mask.clone()
    mask[2:, :, 1:] = False
    target_mask[3] = False
    few = replace(
        forward,
        context_embeddings=replace(forward.context_embeddings, mask=mask),
        target_tokens=replace(forward.target_tokens, mask=target_mask),
    )
    loss = build(normalized=normalized)
    torch.testing.assert_close(loss(few).value, loss(first_two(forward)).value)


def first_two(forward: Forward) -> Forward:
    embeddings, tokens = forward.context_embeddings, forward.target_tokens
    return replace(
        forward,
        context_embeddings=Embeddings(embeddings.values[:2], embeddings.mask[:2]),
        context_quantized=replace(forward.context_quantized, values=forward.context_quantized.values[:2]),
        target_tokens=Embeddings(tokens.values[:2], tokens.mask[:2]),
    )


def test_grids_whose_objects_share_one_code_do_not_count() -> None:
    forward = random_forward(2, real=1.0)
    values = forward.context_quantized.values.detach().clone()
    values[1] = 5.1
    same = replace(forward, context_quantized=replace(forward.context_quantized, values=values.requires_grad_()))
    value = build()(same).value
    value.backward()
    assert values.grad is not None
    assert not values.grad[1].any()
    assert values.grad[0].any()


def test_one_context_grid_has_no_neighbour_to_compare_with() -> None:
    forward = random_forward()
    single = replace(
        forward,
        context_embeddings=replace(forward.context_embeddings, mask=forward.context_embeddings.mask[:, :1]),
        context_quantized=replace(forward.context_quantized, values=forward.context_quantized.values[:, :1]),
    )
    term = build()(single)
    assert term.figures["relational.context"] == 0
    assert term.value.isfinite()


def test_of_many_tokens_only_some_are_compared() -> None:
    forward = random_forward(real=1.0)
    few = build(max_tokens=3)
    values, target = forward.context_quantized.values, forward.target_tokens
    kept = [0, 2, 4]
    thinned = replace(
        forward,
        context_embeddings=replace(forward.context_embeddings, mask=forward.context_embeddings.mask[..., kept]),
        context_quantized=replace(forward.context_quantized, values=values[..., kept, :]),
        target_tokens=Embeddings(target.values[..., kept, :], target.mask[..., kept]),
    )
    torch.testing.assert_close(few(forward).value, build()(thinned).value)
