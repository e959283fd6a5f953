from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.stats import entropy, rankdata

from jepa_core.engine import representation
from jepa_core.engine.representation import (
    alignment,
    code_usage,
    effective_rank,
    eigenvalues,
    lidar,
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

    @pytest.mark.parametrize("smallest", [16, 20, 24, 28, 32, 36])
    def test_it_is_found_where_directions_have_collapsed_to_any_size(self, smallest: int) -> None:
        torch.manual_seed(0)
        scales = torch.logspace(0, -smallest, 256)[torch.randperm(256)]
        for _ in range(10):
            z = torch.relu(torch.randn(512, 1) * torch.randn(1, 256) + 1e-3 * torch.randn(512, 256) * scales)
            z[:, torch.rand(256) < 0.5] = 0
            spectrum = eigenvalues(F.normalize(z, dim=1))
            assert spectrum.isfinite().all()
            assert spectrum.sum().item() == pytest.approx(float(F.normalize(z, dim=1).var(0).sum()), rel=1e-4)

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


def lidar_by_numpy(z: np.ndarray, groups: list[int]) -> float:
    """As the paper writes it down, with the matrix roots; z at unit length."""
    members = [z[[g == group for g in groups]] for group in dict.fromkeys(groups) if groups.count(group) > 1]
    means = np.stack([views.mean(0) for views in members])
    between = np.cov(means.T, bias=True)
    within = np.mean([np.cov(views.T, bias=True) for views in members], axis=0) + 1e-4 * np.eye(z.shape[1])
    root = np.linalg.inv(sqrtm(within))
    spectrum = np.linalg.eigvalsh(root @ between @ root).clip(min=0)
    shares = spectrum / spectrum.sum() + 1e-7
    return float(np.exp(-(shares * np.log(shares)).sum()))


class TestLidar:
    """Effective rank of what tells groups apart, arXiv 2312.04000."""

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 999), st.integers(2, 12), st.integers(2, 10))
    def test_it_equals_its_definition(self, seed: int, num_groups: int, dim: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        groups = torch.randint(num_groups, (40,), generator=generator) * 3
        means = 2 * torch.randn(3 * num_groups, dim, generator=generator)
        z = means[groups] + torch.rand(dim, generator=generator) * torch.randn(40, dim, generator=generator)
        if (groups.bincount() > 1).sum() < 2:
            return
        unit = F.normalize(z.double(), dim=1).numpy()
        assert lidar(z, groups).item() == pytest.approx(lidar_by_numpy(unit, groups.tolist()), rel=1e-4)

    def test_it_counts_directions_that_tell_groups_apart_and_not_those_that_vary_within_them(self) -> None:
        torch.manual_seed(0)
        groups = torch.arange(400) // 20
        signal = torch.randn(20, 3)[groups] * 3
        z = torch.cat([signal + 0.05 * torch.randn(400, 3), torch.randn(400, 13)], dim=1)
        assert lidar(z, groups) < 4
        assert effective_rank(F.normalize(z, dim=1)) > 6

    def test_a_group_of_one_counts_for_nothing(self) -> None:
        torch.manual_seed(0)
        z, groups = torch.randn(31, 5), torch.cat([torch.arange(30) // 3, torch.tensor([99])])
        assert lidar(z, groups) == lidar(z[:30], groups[:30])

    def test_a_group_with_more_members_counts_as_much_as_any_other(self) -> None:
        torch.manual_seed(0)
        z, groups = torch.randn(30, 5), torch.arange(30) // 3
        repeated = torch.cat([z, z[:3], z[:3]]), torch.cat([groups, groups[:3], groups[:3]])
        assert lidar(*repeated).item() == pytest.approx(lidar(z, groups).item(), rel=1e-9)

    def test_length_does_not_matter(self) -> None:
        torch.manual_seed(0)
        z, groups = torch.randn(30, 5), torch.arange(30) // 3
        assert lidar(z * torch.linspace(1, 1000, 30)[:, None], groups).item() == pytest.approx(lidar(z, groups).item())

    def test_equal_embeddings_have_rank_one_even_when_rounding_tells_them_apart(self) -> None:
        torch.manual_seed(0)
        constant, groups = torch.randn(1, 16).expand(60, 16), torch.arange(60) // 3
        assert lidar(constant, groups).item() == pytest.approx(1, abs=1e-3)
        assert lidar(constant * (1 + 1e-7 * torch.randn(60, 16)), groups).item() == pytest.approx(1, abs=1e-3)

    def test_fewer_than_two_groups_of_several_have_none(self) -> None:
        z = torch.randn(6, 3)
        assert lidar(z, torch.arange(6)).isnan()
        assert lidar(z, torch.tensor([0, 0, 0, 1, 2, 3])).isnan()
        assert lidar(z, torch.tensor([0, 0, 1, 1, 2, 3])).isfinite()

    def test_embeddings_that_are_not_finite_have_none(self) -> None:
        z = torch.randn(6, 3)
        z[1, 1] = torch.inf
        assert lidar(z, torch.arange(6) // 2).isnan()


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
