from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.integrate import quad

from jepa_core.facts import LossFacts
from jepa_plugins.losses.sigreg import Sigreg, SigregConfig, epps_pulley
from tests.losses.forwards import random_forward


def build(**fields: int) -> Sigreg:
    facts = LossFacts(embedding_dim=4, projection_dim=6, context_length=3, num_tokens=5, batch_size=8)
    return SigregConfig(**fields).build(facts)


def by_quadrature(samples: np.ndarray) -> float:
    def integrand(t: float) -> float:
        characteristic = np.exp(1j * t * samples).mean()
        return float(abs(characteristic - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2))

    return len(samples) * float(quad(integrand, -np.inf, np.inf, limit=200)[0])


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.5, 0.3), (-0.5, 1.5), (0.0, 0.0)])
def test_the_statistic_equals_the_papers_integral(mean: float, std: float) -> None:
    torch.manual_seed(0)
    samples = mean + std * torch.randn(20, 3)
    expected = torch.tensor([by_quadrature(column.numpy().astype(np.float64)) for column in samples.T])
    torch.testing.assert_close(epps_pulley(samples, 17), expected.float(), rtol=1e-3, atol=1e-3)


def test_more_points_change_little() -> None:
    torch.manual_seed(0)
    samples = torch.randn(30, 2) + 0.5
    torch.testing.assert_close(epps_pulley(samples, 17), epps_pulley(samples, 201), rtol=1e-3, atol=1e-4)


def test_an_isotropic_gaussian_costs_least() -> None:
    torch.manual_seed(0)
    gaussian = torch.randn(500, 4)
    candidates = {
        "gaussian": gaussian,
        "wide": 3 * gaussian,
        "narrow": 0.2 * gaussian,
        "moved": gaussian + 1,
        "flat": gaussian * torch.tensor([1.0, 1.0, 1.0, 0.01]),
        "two clusters": gaussian.sign(),
        "collapsed": torch.zeros(500, 4),
    }
    directions = F.normalize(torch.randn(4, 64), dim=0)
    cost = {name: epps_pulley(z @ directions, 17).mean().item() for name, z in candidates.items()}
    assert min(cost, key=cost.__getitem__) == "gaussian"
    assert cost["collapsed"] > 10 * cost["gaussian"]


def test_the_scale_of_embeddings_matters_as_they_are_not_brought_to_unit_length() -> None:
    loss = build(slices=64)
    torch.manual_seed(0)
    near = loss(random_forward(64)).value
    torch.manual_seed(0)
    far = loss(random_forward(64, scale=10.0)).value
    assert far > 5 * near


def test_descent_turns_a_flat_cloud_into_an_isotropic_one() -> None:
    torch.manual_seed(0)
    z = (torch.randn(64, 3) * torch.tensor([0.7, 0.3, 0.1]) + 0.5).requires_grad_()
    optimizer = torch.optim.Adam([z], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        epps_pulley(z @ F.normalize(torch.randn(3, 32), dim=0), 17).mean().backward()
        optimizer.step()
    eigenvalues = torch.linalg.eigvalsh(torch.cov(z.detach().T))
    assert z.detach().mean(0).norm() < 0.3
    assert eigenvalues.min() > 0.5
    assert eigenvalues.max() < 2


def test_each_step_draws_new_directions_from_the_global_generator() -> None:
    loss, forward = build(slices=2), random_forward()
    torch.manual_seed(1)
    first, second = loss(forward).value, loss(forward).value
    torch.manual_seed(1)
    assert first != second
    assert loss(forward).value == first


def test_an_even_number_of_points_is_refused() -> None:
    with pytest.raises(ValueError, match=r"points must be odd.*got 16"):
        SigregConfig(points=16)
