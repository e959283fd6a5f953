from __future__ import annotations

import torch

from jepa_plugins.quantizers.k_means import k_means


def test_well_separated_clusters_each_get_one_centre() -> None:
    torch.manual_seed(0)
    means = torch.randn(6, 3) * 100
    rows = (means[:, None] + torch.randn(6, 10, 3) * 0.01).flatten(0, 1)
    centres, counts = k_means(rows[None], 6)
    assert torch.cdist(means, centres[0]).amin(1).max() < 0.1
    assert counts.tolist() == [[10.0] * 6]


def test_iterations_lower_the_distance_of_rows_from_their_centres() -> None:
    torch.manual_seed(0)
    rows = torch.randn(100, 4)

    def distance(iterations: int) -> float:
        torch.manual_seed(1)
        return torch.cdist(rows, k_means(rows[None], 10, iterations)[0][0]).amin(1).square().sum().item()

    assert distance(8) < distance(1) < distance(0)


def test_fewer_distinct_rows_than_centres_leave_centres_unused() -> None:
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0]]).repeat(5, 1)
    centres, counts = k_means(rows[None], 4)
    assert centres.isfinite().all()
    assert sorted(counts[0].tolist()) == [0, 0, 5, 5]


def test_a_single_row_makes_all_centres() -> None:
    centres, counts = k_means(torch.ones(1, 1, 2), 3)
    assert torch.equal(centres, torch.ones(1, 3, 2))
    assert counts.sum() == 1


def test_each_group_has_centres_of_its_own_rows() -> None:
    torch.manual_seed(0)
    means = torch.randn(3, 4, 2) * 100
    rows = (means[:, :, None] + torch.randn(3, 4, 10, 2) * 0.01).flatten(1, 2)
    centres, counts = k_means(rows, 4)
    assert torch.cdist(means, centres).amin(2).max() < 0.1
    assert counts.tolist() == [[10.0] * 4] * 3
