from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from vector_quantize_pytorch import VectorQuantize

from jepa_core.contracts import Quantized, Statistics
from jepa_core.errors import RecipeError
from jepa_core.facts import QuantizerFacts
from jepa_plugins.quantizers.ema_vq import EmaVq, EmaVqConfig

DIM = 4


def build(**fields: Any) -> EmaVq:
    torch.manual_seed(0)
    return EmaVqConfig(**{"codes": 6, "revive_at_most": 0} | fields).build(QuantizerFacts(embedding_dim=DIM))


def random_tokens(seed: int, *shape: int, real: float = 0.7) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    mask = torch.rand(*shape) < real
    return torch.randn(*shape, DIM) * mask[..., None], mask


def train_on(quantizer: EmaVq, values: Tensor) -> Quantized:
    """One step over tokens (M, D), all of them real."""
    result: Quantized = quantizer(values, torch.ones(len(values), dtype=torch.bool), collect=True)
    quantizer.after_step(result.statistics)
    return result


def test_values_codes_loss_and_five_steps_equal_vector_quantize_pytorch() -> None:
    ours = build(commitment=0.3, decay=0.9)
    reference = VectorQuantize(
        dim=DIM, codebook_size=6, decay=0.9, eps=1e-5, commitment_weight=0.3, rotation_trick=False
    )
    book = reference._codebook
    book.embed.copy_(ours.codebook)
    book.embed_avg.copy_(ours.ema_sums)
    book.cluster_size.copy_(ours.ema_counts)
    for seed in range(5):
        values, mask = random_tokens(seed, 3, 8)
        values.requires_grad_(True)
        result = ours(values, mask, collect=True)
        expected_values, expected_codes, expected_loss = reference(values, mask=mask)
        torch.testing.assert_close(result.values, expected_values)
        assert result.codes is not None
        assert torch.equal(result.codes[mask], expected_codes[mask])
        torch.testing.assert_close(result.loss, expected_loss.squeeze())
        (gradient,) = torch.autograd.grad(result.loss, values)
        (expected_gradient,) = torch.autograd.grad(expected_loss.sum(), values)
        torch.testing.assert_close(gradient, expected_gradient)
        ours.after_step(result.statistics)
        torch.testing.assert_close(ours.codebook, book.embed)
        torch.testing.assert_close(ours.ema_counts, book.cluster_size)


def test_the_commitment_weight_changes_the_gradient() -> None:
    gradients = []
    for commitment in (0.15, 0.3):
        values, mask = random_tokens(0, 2, 5, real=1.0)
        values.requires_grad_(True)
        loss = build(commitment=commitment)(values, mask, collect=False).loss
        gradients.append(torch.autograd.grad(loss, values)[0])
    assert gradients[0].any()
    torch.testing.assert_close(2 * gradients[0], gradients[1])


def test_values_are_exactly_the_codes_and_their_gradient_goes_straight_through() -> None:
    quantizer = build()
    values, mask = random_tokens(0, 2, 5, real=1.0)
    values.requires_grad_(True)
    result = quantizer(values, mask, collect=False)
    assert result.codes is not None
    assert torch.equal(result.values, quantizer.codebook[0, result.codes])
    upstream = torch.randn_like(values)
    (gradient,) = torch.autograd.grad((result.values * upstream).sum(), values)
    assert torch.equal(gradient, upstream)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 7), st.sampled_from([1, 2]), st.integers(0, 99))
def test_merged_statistics_of_two_parts_equal_those_of_the_whole(cut: int, groups: int, seed: int) -> None:
    at_once, in_parts = build(groups=groups), build(groups=groups)
    values, mask = random_tokens(seed, 8, 5)
    at_once.after_step(at_once(values, mask, collect=True).statistics)
    parts = [in_parts(values[span], mask[span], collect=True).statistics for span in (slice(cut), slice(cut, None))]
    in_parts.after_step(Statistics.merge(parts))
    for name, value in at_once.state_dict().items():
        torch.testing.assert_close(in_parts.state_dict()[name], value)


def test_groups_quantize_slices_of_the_embedding_on_their_own() -> None:
    grouped = build(groups=2)
    values, mask = random_tokens(0, 3, 5)
    result = grouped(values, mask, collect=True)
    assert result.codes is not None
    assert grouped.num_codes == 12
    for group, part in enumerate((slice(0, 2), slice(2, 4))):
        alone = EmaVqConfig(codes=6, revive_at_most=0).build(QuantizerFacts(embedding_dim=2))
        alone.codebook.copy_(grouped.codebook[group : group + 1])
        expected = alone(values[..., part], mask, collect=True)
        assert expected.codes is not None
        torch.testing.assert_close(result.values[..., part], expected.values)
        assert torch.equal(result.codes[..., group][mask], expected.codes[mask] + 6 * group)


def test_groups_that_do_not_divide_the_embedding_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"groups = 3 does not divide .* dimension 4"):
        EmaVqConfig(groups=3).build(QuantizerFacts(embedding_dim=4))


@pytest.mark.parametrize("initial", ["kmeans++", "data"])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_start_from_data_puts_codes_where_tokens_are(initial: str, groups: int) -> None:
    quantizer = build(initial=initial, groups=groups)
    torch.manual_seed(1)
    sample = torch.randn(40, DIM) + 50
    mask = torch.ones(40, dtype=torch.bool)
    before = quantizer(sample, mask, collect=False).loss
    quantizer.initialise(sample)
    assert (quantizer.codebook > 40).all()
    assert quantizer(sample, mask, collect=False).loss < before / 100
    torch.testing.assert_close(quantizer.ema_sums / quantizer.ema_counts[..., None], quantizer.codebook)


def test_a_start_from_k_means_meets_tokens_better_than_a_random_draw() -> None:
    torch.manual_seed(1)
    sample = torch.randn(200, DIM)
    losses = {}
    for initial in ("kmeans++", "data"):
        quantizer = build(initial=initial, codes=16)
        quantizer.initialise(sample)
        losses[initial] = quantizer(sample, torch.ones(200, dtype=torch.bool), collect=False).loss.item()
    assert losses["kmeans++"] < losses["data"]


def test_codes_converge_to_the_mean_of_their_tokens() -> None:
    quantizer = build(codes=2)
    clusters = torch.tensor([[5.0] * DIM, [-5.0] * DIM])
    quantizer.initialise(clusters + 1)
    for _ in range(200):
        train_on(quantizer, clusters.repeat(4, 1))
    assert torch.cdist(clusters, quantizer.codebook[0]).amin(1).max() < 1e-3


class TestRevival:
    """Of dead codes, a few at a time."""

    @staticmethod
    def with_dead_codes(**fields: Any) -> EmaVq:
        """Of 8 codes, 0 and 1 are used and the other six lie far away."""
        quantizer = build(codes=8, **{"revive_at_most": 2, "revive_every": 1} | fields)
        quantizer.codebook.fill_(100.0)
        quantizer.codebook[0, 0], quantizer.codebook[0, 1] = 1.0, -1.0
        quantizer.ema_counts.copy_(torch.tensor([[10.0, 10.0] + [1e-2] * 6]))
        quantizer.ema_sums.copy_(quantizer.codebook * quantizer.ema_counts[..., None])
        return quantizer

    @staticmethod
    def tokens() -> Tensor:
        torch.manual_seed(3)
        return torch.randn(12, DIM)

    def test_at_most_so_many_codes_move_onto_tokens_and_the_rest_stays(self) -> None:
        revived, plain = self.with_dead_codes(), self.with_dead_codes(revive_at_most=0)
        train_on(revived, self.tokens())
        train_on(plain, self.tokens())
        moved = (revived.codebook != plain.codebook).any(-1)[0]
        assert moved.sum() == 2
        assert not moved[:2].any()
        assert torch.cdist(revived.codebook[0, moved], self.tokens()).amin(1).max() == 0
        assert torch.equal(revived.ema_counts[0, ~moved], plain.ema_counts[0, ~moved])

    def test_a_revived_code_is_not_dead_in_the_next_step_and_stays_at_its_token(self) -> None:
        quantizer = self.with_dead_codes(revive_at_most=8)
        train_on(quantizer, self.tokens())
        alive = quantizer.codebook.clone()
        assert (alive < 50).all()
        train_on(quantizer, torch.zeros(0, DIM))
        torch.testing.assert_close(quantizer.codebook, alive)

    def test_every_dead_code_is_revived_after_enough_steps(self) -> None:
        quantizer = self.with_dead_codes()
        for _ in range(3):
            assert (quantizer.codebook > 50).any()
            train_on(quantizer, self.tokens())
        assert (quantizer.codebook < 50).all()

    def test_it_waits_for_its_turn(self) -> None:
        quantizer = self.with_dead_codes(revive_every=3)
        dead_after = []
        for _ in range(3):
            train_on(quantizer, self.tokens())
            dead_after.append(int((quantizer.codebook[0] > 50).all(-1).sum()))
        assert dead_after == [6, 6, 4]

    def test_codes_in_use_are_left_alone(self) -> None:
        quantizer, plain = self.with_dead_codes(revive_below=0.0), self.with_dead_codes(revive_at_most=0)
        train_on(quantizer, self.tokens())
        train_on(plain, self.tokens())
        assert torch.equal(quantizer.codebook, plain.codebook)

    def test_masked_tokens_and_tokens_that_are_met_exactly_revive_nothing(self) -> None:
        quantizer = self.with_dead_codes()
        values = torch.cat([torch.ones(3, DIM), torch.full((3, DIM), 7.0)])
        result = quantizer(values, torch.tensor([True] * 3 + [False] * 3), collect=True)
        quantizer.after_step(result.statistics)
        assert (quantizer.codebook[0] > 50).all(-1).sum() == 6

    def test_candidates_of_merged_parts_are_the_largest_keys_of_all(self) -> None:
        quantizer = self.with_dead_codes()
        whole = self.tokens()
        parts = [quantizer(half, torch.ones(6, dtype=torch.bool), collect=True).statistics for half in whole.split(6)]
        merged = Statistics.merge(parts)
        plain = copy.deepcopy(quantizer)
        quantizer.after_step(merged)
        plain.config = EmaVqConfig(codes=8, revive_at_most=0)
        plain.after_step(merged)
        revived = quantizer.codebook[0, (quantizer.codebook != plain.codebook).any(-1)[0]]
        best = merged.rows["tokens"][merged.rows["keys"].argsort(descending=True)[:2]]
        assert torch.cdist(best, revived).amin(1).max() == 0

    def test_tokens_far_from_their_code_are_drawn_more_often(self) -> None:
        quantizer = self.with_dead_codes(revive_at_most=1)
        near, far = torch.full((1, DIM), 1.1), torch.full((1, DIM), 2.0)
        torch.manual_seed(0)
        drawn = [
            quantizer(torch.cat([near, far]), torch.ones(2, dtype=torch.bool), collect=True).statistics.rows["tokens"]
            for _ in range(400)
        ]
        share = torch.cat(drawn)[:, 0].gt(1.5).float().mean().item()
        # Squared errors 0.01 and 1: far is drawn in proportion 1 / 1.01.
        assert share == pytest.approx(1 / 1.01, abs=0.02)


def test_a_step_without_any_token_moves_no_code() -> None:
    quantizer = build()
    quantizer.initialise(random_tokens(1, 30, real=1.0)[0])
    before = quantizer.codebook.clone()
    result = quantizer(*random_tokens(0, 2, 5, real=0.0), collect=True)
    quantizer.after_step(result.statistics)
    torch.testing.assert_close(quantizer.codebook, before, rtol=1e-4, atol=1e-5)
