"""Principal components beside scikit-learn's, and nearest neighbours beside a plain computation."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA  # type: ignore[import-untyped]  # it ships no types
from torch import Tensor

from jepa_core.engine import embedding_map
from jepa_core.engine.embedding_map import (
    agreement,
    evenly,
    nearest_of_others,
    principal_components,
    require_umap,
    umap_plane,
)
from jepa_core.errors import RecipeError


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(200, 12), (9, 30)])
def test_points_and_shares_are_those_of_scikit_learn_up_to_signs(shape: tuple[int, int]) -> None:
    embeddings = drawn(*shape) * torch.linspace(3, 0.1, shape[1]) + 5
    plane, fit = principal_components(embeddings), PCA(2, svd_solver="full")
    expected = fit.fit_transform(embeddings.double().numpy())
    signs = np.sign((plane.points.numpy() * expected).sum(0))
    np.testing.assert_allclose(plane.points.numpy() * signs, expected, atol=1e-6)
    np.testing.assert_allclose(plane.explained or (), fit.explained_variance_ratio_, rtol=1e-6)


def test_a_directions_largest_entry_is_positive() -> None:
    spread = torch.tensor([0.1, 4.0, 0.1, 1.0])
    embeddings = drawn(300, 4) * spread
    points = principal_components(embeddings).points
    for place, dim in enumerate((1, 3)):
        assert torch.corrcoef(torch.stack([points[:, place], embeddings[:, dim].double()]))[0, 1] > 0.9
        mirrored = principal_components(embeddings * torch.where(torch.arange(4) == dim, -1.0, 1.0)).points
        torch.testing.assert_close(mirrored[:, place], -points[:, place])


def test_rounding_is_no_direction() -> None:
    collapsed = torch.full((50, 8), 3.0) + 1e-7 * drawn(50, 8)
    plane = principal_components(collapsed)
    assert plane.explained == (0.0, 0.0)
    assert not plane.points.any()
    on_a_line = principal_components(drawn(50, 1) * torch.ones(8) + 3)
    assert on_a_line.explained == pytest.approx((1.0, 0.0))
    assert on_a_line.points[:, 0].std() > 1
    assert not on_a_line.points[:, 1].any()


def test_a_single_dimension_has_no_second_direction() -> None:
    embeddings = drawn(20, 1)
    plane = principal_components(embeddings)
    torch.testing.assert_close(plane.points[:, 0], (embeddings - embeddings.mean()).flatten().double())
    assert (plane.explained, bool(plane.points[:, 1].any())) == ((1.0, 0.0), False)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), num=st.integers(1, 30), num_groups=st.integers(1, 6), wanted=st.integers(1, 7))
def test_neighbours_are_the_nearest_of_other_groups(seed: int, num: int, num_groups: int, wanted: int) -> None:
    embeddings = drawn(num, 5, seed=seed)
    groups = torch.randint(num_groups, (num,), generator=torch.Generator().manual_seed(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding_map, "ROWS_AT_A_TIME", 4)
        nearest = nearest_of_others(embeddings, groups, wanted)
    for row in range(num):
        others = [other for other in range(num) if groups[other] != groups[row]]
        others.sort(key=lambda other: -float(torch.cosine_similarity(embeddings[row], embeddings[other], dim=0)))
        there = nearest[row][nearest[row] >= 0].tolist()
        assert there == others[:wanted]
        assert nearest[row].tolist() == there + [-1] * (min(wanted, num) - len(there))


def test_agreement_counts_pairs_of_other_groups() -> None:
    groups, labels = torch.tensor([0, 0, 1, 1, 2, 2, 2]), torch.tensor([0, 0, 0, 1, 1, 0, 0])
    nearest = nearest_of_others(drawn(7, 3), groups, 5)
    pairs = [(a, b) for a in range(7) for b in range(7) if groups[a] != groups[b]]
    kept = [(row, place) for row in range(7) for place in nearest[row].tolist() if place >= 0]
    found = agreement(nearest, labels, groups)
    assert found.chance == pytest.approx(np.mean([int(labels[a] == labels[b]) for a, b in pairs]))
    assert found.share == pytest.approx(np.mean([int(labels[a] == labels[b]) for a, b in kept]))
    assert len(kept) < nearest.numel()


@given(num=st.integers(1, 500), most=st.integers(1, 100))
def test_evenly_chosen_are_middles_of_equal_parts(num: int, most: int) -> None:
    chosen = evenly(num, most)
    assert len(chosen) == min(num, most)
    part = num / len(chosen)
    for number, place in enumerate(chosen.tolist()):
        assert number * part <= place + 0.5 <= (number + 1) * part
        assert abs(place - (number + 0.5) * part) <= 1


def test_without_umap_the_command_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(RecipeError, match="pip install umap-learn, or use --map pca"):
        require_umap()


@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")
def test_umap_keeps_groups_together_under_one_seed() -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed")
    embeddings = torch.cat([drawn(30, 6) + 20 * torch.eye(6)[0], drawn(30, 6, seed=1) + 20 * torch.eye(6)[1]])
    first, second = (umap_plane(embeddings).points for _ in range(2))
    assert first.equal(second)
    one, other = first[:30], first[30:]
    assert torch.cdist(one, other).min() > torch.cdist(one, one.mean(0, keepdim=True)).max()
    with pytest.raises(RecipeError, match="needs 8 sequences, and there are 7"):
        umap_plane(embeddings[:7])
