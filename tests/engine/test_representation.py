from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy, rankdata

from jepa_core.engine import representation
from jepa_core.engine.representation import (
    alignment,
    code_usage,
    effective_rank,
    eigenvalues,
    mean_reciprocal_rank,
    mean_std,
    rank_by_cosine,
    rank_of_spectrum,
    retrieval_ranks,
    share_within,
    uniformity,
    unique_candidates,
)


class TestEffectiveRank:
    """Exponential of the entropy of the covariance matrix's normalised eigenvalues."""

    def test_it_equals_its_definition_on_the_covariance_matrix(self) -> None:
        torch.manual_seed(0)
        z = torch.randn(40, 6) * torch.tensor([5.0, 3.0, 1.0, 1.0, 0.1, 0.01]) + 7
        spectrum = np.linalg.eigvalsh(np.cov(z.numpy().T.astype(np.float64)))
        torch.testing.assert_close(eigenvalues(z).double().numpy(), spectrum[::-1].copy(), rtol=1e-3, atol=1e-5)
        assert effective_rank(z).item() == pytest.approx(math.exp(entropy(spectrum)), rel=1e-4)

    @settings(max_examples=20, deadline=None)
    @given(st.integers(2, 12), st.integers(1, 12))
    def test_fewer_embeddings_than_dimensions_have_the_same_spectrum_and_zeros(self, num: int, dim: int) -> None:
        z = torch.randn(num, dim, generator=torch.Generator().manual_seed(num * 100 + dim)).double()
        spectrum = np.linalg.eigvalsh(np.atleast_2d(np.cov(z.numpy().T))).clip(min=0)
        torch.testing.assert_close(eigenvalues(z).numpy(), spectrum[::-1].copy(), rtol=1e-4, atol=1e-5)

    @settings(max_examples=20, deadline=None)
    @given(st.integers(1, 8))
    def test_it_is_the_number_of_directions_that_are_spread_evenly(self, num: int) -> None:
        corners = torch.zeros(2 * num, 8)
        corners[:num, :num], corners[num:, :num] = torch.eye(num), -torch.eye(num)
        assert effective_rank(corners).item() == pytest.approx(num, rel=1e-4)

    def test_equal_embeddings_have_rank_one_even_when_rounding_tells_them_apart(self) -> None:
        torch.manual_seed(0)
        constant = torch.randn(1, 16).expand(50, 16)
        assert effective_rank(constant) == 1
        assert effective_rank(constant * (1 + 1e-7 * torch.randn(50, 16))) == 1

    def test_embeddings_that_are_not_finite_have_no_rank(self) -> None:
        z = torch.randn(5, 3)
        z[2, 1] = torch.inf
        assert effective_rank(z).isnan()
        assert eigenvalues(z).isnan().all()

    def test_a_single_embedding_has_rank_one(self) -> None:
        assert effective_rank(torch.randn(1, 4)) == 1

    def test_half_precision_and_autocast_do_not_change_it(self) -> None:
        torch.manual_seed(0)
        z = torch.randn(50, 6).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            mixed = effective_rank(z)
        torch.testing.assert_close(mixed, effective_rank(z.float()))

    def test_a_spectrum_at_hand_gives_the_same_rank(self) -> None:
        z = torch.randn(50, 6)
        assert rank_of_spectrum(eigenvalues(z)) == effective_rank(z)


class TestSpread:
    """Standard deviation, alignment and uniformity on the unit sphere."""

    def test_the_mean_standard_deviation_of_an_even_spread_is_one_over_the_root_of_the_dimensions(self) -> None:
        torch.manual_seed(0)
        assert mean_std(torch.randn(5000, 16) * 9).item() == pytest.approx(0.25, rel=0.01)
        assert mean_std(torch.ones(7, 16)) == 0

    def test_alignment_is_the_mean_squared_distance_of_pairs(self) -> None:
        torch.manual_seed(0)
        a, b = torch.randn(9, 4), torch.randn(9, 4)
        expected = (2 - 2 * F.cosine_similarity(a, b)).mean()
        torch.testing.assert_close(alignment(3 * a, b / 5), expected)
        assert alignment(a, 2 * a).item() == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize("rows_at_a_time", [3, 1024])
    def test_uniformity_is_the_log_of_the_mean_potential_of_pairs(
        self, rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(representation, "ROWS_AT_A_TIME", rows_at_a_time)
        torch.manual_seed(0)
        z = torch.randn(20, 4)
        expected = torch.pdist(F.normalize(z, dim=-1)).square().mul(-2).exp().mean().log()
        torch.testing.assert_close(uniformity(z), expected)

    def test_uniformity_of_equal_embeddings_is_zero_and_of_a_single_one_undefined(self) -> None:
        assert uniformity(torch.ones(5, 4)).item() == pytest.approx(0, abs=1e-5)
        assert uniformity(torch.ones(1, 4)).isnan()


class TestRetrieval:
    """Rank = 1 + higher + half of the ties."""

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 999))
    def test_ranks_equal_average_ranks_by_scipy(self, num: int, num_candidates: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        scores = torch.randint(4, (num, num_candidates), generator=generator).float()
        positive = torch.randint(num_candidates, (num,), generator=generator)
        average = rankdata(-scores.numpy(), method="average", axis=1)
        expected = torch.from_numpy(average).gather(1, positive[:, None])[:, 0]
        torch.testing.assert_close(retrieval_ranks(scores, positive).double(), expected)

    @pytest.mark.parametrize("num_candidates", [2, 5, 64, 300])
    def test_a_constant_encoder_scores_chance(self, num_candidates: int) -> None:
        torch.manual_seed(0)
        same = torch.randn(1, 48)
        positive = torch.arange(num_candidates)
        ranks = rank_by_cosine(same.expand(num_candidates, 48), same.repeat(num_candidates, 1), positive)
        assert torch.equal(ranks, torch.full((num_candidates,), (num_candidates + 1) / 2))

    def test_a_constant_encoder_scores_chance_when_rounding_tells_its_embeddings_apart(self) -> None:
        torch.manual_seed(0)
        same = torch.randn(1, 48) * (1 + 6e-8 * torch.randn(100, 48))
        assert torch.equal(rank_by_cosine(same, same, torch.arange(100)), torch.full((100,), 50.5))

    def test_a_perfect_encoder_ranks_every_target_first(self) -> None:
        torch.manual_seed(0)
        z = torch.randn(30, 8)
        assert torch.equal(rank_by_cosine(2 * z, z, torch.arange(30)), torch.ones(30))

    def test_taking_rows_in_parts_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        torch.manual_seed(0)
        z, candidates, positive = torch.randn(30, 8), torch.randn(12, 8), torch.randint(12, (30,))
        at_once = rank_by_cosine(z, candidates, positive)
        monkeypatch.setattr(representation, "ROWS_AT_A_TIME", 7)
        assert torch.equal(rank_by_cosine(z, candidates, positive), at_once)

    def test_scores_that_are_not_finite_never_help(self) -> None:
        scores = torch.full((1, 5), torch.nan)
        assert retrieval_ranks(scores, torch.tensor([2])) == 5
        scores = torch.tensor([[0.0, torch.nan, 0.5, torch.nan]])
        assert retrieval_ranks(scores, torch.tensor([2])) == 3

    def test_mean_reciprocal_rank_and_shares(self) -> None:
        ranks = torch.tensor([1.0, 1.5, 4.0, 20.0])
        assert mean_reciprocal_rank(ranks).item() == pytest.approx((1 + 1 / 1.5 + 0.25 + 0.05) / 4)
        assert share_within(ranks, 1) == 0.25
        assert share_within(ranks, 10) == 0.75


class TestCodeUsage:
    """Share, perplexity and dead codes."""

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(-1, 5), min_size=1, max_size=40))
    def test_it_equals_counting(self, codes: list[int]) -> None:
        counts = np.bincount([code for code in codes if code >= 0], minlength=6)
        use = code_usage(torch.tensor(codes), 6)
        assert use.counts.tolist() == counts.tolist()
        assert use.usage.item() == pytest.approx((counts > 0).mean())
        assert use.dead == (counts == 0).sum()
        if counts.any():
            assert use.perplexity.item() == pytest.approx(math.exp(entropy(counts)), rel=1e-5)

    def test_masked_tokens_are_not_counted(self) -> None:
        use = code_usage(torch.full((2, 3), -1), 4)
        assert use.usage == 0
        assert use.perplexity == 1
        assert use.dead == 4


class TestUniqueCandidates:
    """Equal keys are one candidate."""

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
    def test_each_finds_its_first_equal(self, kinds: list[int]) -> None:
        keys = torch.tensor([7, -(2**62), 0, 2**62])[kinds]
        found = unique_candidates(keys)
        assert len(found.representatives) == len(set(kinds))
        assert found.representatives[found.index].tolist() == [kinds.index(kind) for kind in kinds]
        assert torch.equal(keys[found.representatives][found.index], keys)


@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_the_rank_does_not_depend_on_the_scale_however_large(scale: float) -> None:
    z = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    assert effective_rank(z * scale).item() == pytest.approx(effective_rank(z).item(), rel=1e-4)
