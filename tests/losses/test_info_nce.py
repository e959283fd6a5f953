from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.losses import NTXentLoss
from torch import Tensor

from jepa_core.contracts import Statistics
from jepa_core.facts import LossFacts
from jepa_plugins.losses.info_nce import InfoNce, InfoNceConfig
from tests.losses.forwards import PROJECTION, random_forward


def build(**fields: Any) -> InfoNce:
    facts = LossFacts(embedding_dim=4, projection_dim=PROJECTION, context_length=3, num_tokens=5, batch_size=8)
    return InfoNceConfig(**fields).build(facts)


def append(loss: InfoNce, targets: Tensor) -> None:
    loss.after_step(Statistics(rows={"z_target": targets}))


def unit_rows(num: int, seed: int) -> Tensor:
    torch.manual_seed(seed)
    return F.normalize(torch.randn(num, PROJECTION), dim=-1)


@pytest.mark.parametrize("num_queued", [0, 5, 12])
def test_it_equals_pytorch_metric_learning(num_queued: int) -> None:
    forward, negatives = random_forward(), unit_rows(num_queued, seed=1)
    loss = build(queue=12, temperature=0.1)
    append(loss, negatives)
    reference = NTXentLoss(temperature=0.1)
    labels = torch.arange(8)
    candidates = torch.cat([forward.z_target, negatives])
    expected = reference(forward.z_context, labels, ref_emb=candidates, ref_labels=torch.arange(8 + num_queued))
    value = loss(forward).value
    torch.testing.assert_close(value, expected)
    (gradient,) = torch.autograd.grad(value, forward.z_context)
    (expected_gradient,) = torch.autograd.grad(expected, forward.z_context)
    torch.testing.assert_close(gradient, expected_gradient)


def test_the_symmetric_form_averages_both_directions() -> None:
    forward = random_forward()
    swapped = replace(forward, z_context=forward.z_target, z_target=forward.z_context.detach())
    one_way, other_way = build()(forward).value, build()(swapped).value
    torch.testing.assert_close(build(symmetric=True)(forward).value, (one_way + other_way) / 2)


def test_embeddings_that_are_all_equal_cost_the_logarithm_of_the_candidates() -> None:
    forward = random_forward()
    same = torch.ones(8, PROJECTION)
    value = build()(replace(forward, z_context=same, z_target=same)).value
    torch.testing.assert_close(value, torch.tensor(8.0).log())


def test_the_length_of_embeddings_does_not_matter() -> None:
    forward = random_forward()
    longer = replace(forward, z_context=forward.z_context * 7, z_target=forward.z_target * 0.3)
    torch.testing.assert_close(build()(longer).value, build()(forward).value)


class TestDuplicates:
    """Negatives equal to the right target."""

    def test_they_are_left_out_where_asked(self) -> None:
        forward = random_forward()
        repeated = replace(forward, z_target=torch.cat([forward.z_target[:4]] * 2))
        value = build(duplicate_similarity=0.999)(repeated).value
        scores = F.normalize(forward.z_context, dim=-1) @ F.normalize(forward.z_target[:4], dim=-1).T / 0.07
        own = torch.arange(4).repeat(2)
        # Each other target is there twice, the own one is left in once.
        times = torch.full((8, 4), 2.0).scatter(1, own[:, None], 1.0)
        expected = ((times * scores.exp()).sum(1).log() - scores[torch.arange(8), own]).mean()
        torch.testing.assert_close(value, expected)

    def test_they_are_left_out_of_the_queue_too(self) -> None:
        forward = random_forward()
        loss = build(duplicate_similarity=0.999, queue=8)
        append(loss, F.normalize(forward.z_target[:1], dim=-1))
        own = replace(forward, z_context=forward.z_context[:1], z_target=forward.z_target[:1])
        assert loss(own).value == 0

    def test_they_count_by_default(self) -> None:
        forward = random_forward()
        repeated = replace(forward, z_target=torch.cat([forward.z_target[:4]] * 2))
        assert build()(repeated).value > build(duplicate_similarity=0.999)(repeated).value


class TestTemperature:
    """Within its bounds, and able to leave them."""

    def test_it_starts_where_it_is_set_and_never_shows_a_value_beyond_its_bounds(self) -> None:
        loss = build(temperature=0.07)
        torch.testing.assert_close(loss.temperature(), torch.tensor(0.07))
        for raw, bound in ((-9.0, 0.05), (9.0, 0.20)):
            loss.log_temperature.data.fill_(raw)
            torch.testing.assert_close(loss.temperature(), torch.tensor(bound))

    @pytest.mark.parametrize(("bound", "sign"), [(0.05, 1.0), (0.20, -1.0)])
    def test_at_a_bound_a_gradient_that_points_inside_moves_it(self, bound: float, sign: float) -> None:
        loss = build(temperature=bound)
        optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
        (-sign * loss.temperature()).backward()
        optimizer.step()
        loss.after_step(Statistics())
        assert sign * (loss.temperature().item() - bound) > 1e-4

    @pytest.mark.parametrize(("bound", "sign"), [(0.05, -1.0), (0.20, 1.0)])
    def test_a_gradient_that_points_outside_is_forgotten_after_the_step(self, bound: float, sign: float) -> None:
        loss = build(temperature=bound)
        optimizer = torch.optim.SGD(loss.parameters(), lr=10.0)
        for _ in range(20):
            optimizer.zero_grad()
            (-sign * loss.temperature()).backward()
            optimizer.step()
            loss.after_step(Statistics())
        torch.testing.assert_close(loss.log_temperature.detach().exp(), torch.tensor(bound))

    def test_its_gradient_is_that_of_the_plain_formula(self) -> None:
        forward, loss = random_forward(), build(temperature=0.1)
        loss(forward).value.backward()
        log_temperature = torch.tensor(0.1).log().requires_grad_()
        similarity = F.normalize(forward.z_context, dim=-1) @ F.normalize(forward.z_target, dim=-1).T
        F.cross_entropy(similarity / log_temperature.exp(), torch.arange(8)).backward()
        assert loss.log_temperature.grad is not None
        torch.testing.assert_close(loss.log_temperature.grad, log_temperature.grad)

    def test_it_is_no_parameter_when_it_is_not_learnt(self) -> None:
        loss = build(learn_temperature=False)
        assert not list(loss.parameters())
        torch.testing.assert_close(loss.temperature(), torch.tensor(0.07))

    def test_a_start_outside_its_bounds_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"temperature must be within .* 0\.05 .* 0\.2 \(got 0\.3\)"):
            InfoNceConfig(temperature=0.3)


class TestQueue:
    """Earlier targets, newest first to replace the oldest."""

    @settings(max_examples=25, deadline=None)
    @given(st.integers(1, 9), st.lists(st.integers(1, 12), min_size=1, max_size=5))
    def test_it_holds_the_newest_targets(self, size: int, steps: list[int]) -> None:
        loss = build(queue=size)
        batches = [unit_rows(num, seed) for seed, num in enumerate(steps)]
        for batch in batches:
            append(loss, batch)
        newest = torch.cat(batches)[-size:]
        assert loss.num_filled == len(newest)
        held = loss.queue[: len(newest)]
        assert torch.cdist(newest, held).amin(1).max() < 1e-3
        assert torch.cdist(held, newest).amin(1).max() < 1e-3

    def test_targets_of_a_step_become_negatives_of_the_next(self) -> None:
        loss, forward = build(queue=8), random_forward()
        term = loss(forward)
        assert term.figures["queue.filled"] == 0
        before = build()(random_forward(seed=1)).value
        assert term.statistics is not None
        loss.after_step(term.statistics)
        after = loss(random_forward(seed=1))
        assert after.figures["queue.filled"] == 1
        assert after.value > before

    def test_without_a_queue_nothing_is_handed_over(self) -> None:
        statistics = build()(random_forward()).statistics
        assert statistics is not None
        assert not statistics.rows


class TestOverCandidates:
    """The judged figure of validation."""

    def test_it_is_the_cross_entropy_over_the_list_and_leaves_the_queue_aside(self) -> None:
        loss = build(queue=8, symmetric=True)
        append(loss, unit_rows(8, seed=2))
        contexts, candidates, positive = unit_rows(6, 3), unit_rows(4, 4), torch.tensor([0, 1, 2, 3, 0, 1])
        value = loss.over_candidates(3 * contexts, 2 * candidates, positive)
        torch.testing.assert_close(value, F.cross_entropy(contexts @ candidates.T / 0.07, positive))


def test_the_contrast_with_the_context_is_the_formula_and_leaves_out_grids_equal_to_the_target() -> None:
    forward = random_forward()
    assert forward.z_observed is not None
    z_observed = forward.z_observed
    is_target = torch.zeros(z_observed.shape[:2], dtype=torch.bool)
    is_target[2, 1] = True
    forward = replace(forward, is_target=is_target)
    plain, loss = build(context_weight=0.0)(forward).value, build(context_weight=0.5)
    with_context = loss(forward).value

    expected = []
    for row, (z, target) in enumerate(zip(F.normalize(forward.z_context), F.normalize(forward.z_target), strict=True)):
        rivals = [grid for place, grid in enumerate(F.normalize(z_observed[row])) if (row, place) != (2, 1)]
        scores = torch.stack([z @ candidate for candidate in (target, *rivals)]) / 0.07
        expected.append(-scores.log_softmax(0)[0])
    torch.testing.assert_close(with_context - plain, 0.5 * torch.stack(expected).mean(), rtol=1e-4, atol=1e-5)
    with_context.backward()
    assert loss.log_temperature.grad is not None
    assert loss.log_temperature.grad.isfinite()
