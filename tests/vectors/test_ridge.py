"""Ridge regression against the normal equations, and its leave-one-out error against leaving one out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jepa_plugins.vectors import ridge
from jepa_plugins.vectors.ridge import RidgeMap, fitted_ridge


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_the_normal_equations(inputs: np.ndarray, targets: np.ndarray, strength: float, new: np.ndarray) -> np.ndarray:
    centre, level = inputs.mean(0), targets.mean(0)
    centred = inputs - centre
    gram = centred.T @ centred + strength * np.eye(inputs.shape[1])
    predicted: np.ndarray = (new - centre) @ np.linalg.solve(gram, centred.T @ (targets - level)) + level
    return predicted


def strength_of(found: RidgeMap, inputs: np.ndarray) -> float:
    """The ridge in the units of the normal equations."""
    sizes = np.linalg.svd(inputs - inputs.mean(0), compute_uv=False)
    return found.ridge * float((sizes**2).mean())


def noisy_course(num: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    context = drawn(num, 3, 2)
    target = torch.einsum("sik,ikj->sj", context, drawn(3, 2, 2, seed=1))[:, None] + 0.3 * drawn(num, 1, 2, seed=2)
    return context, target


def test_predictions_are_those_of_the_normal_equations() -> None:
    context, target = noisy_course()
    found = fitted_ridge(context, target)
    assert not found.is_relative
    inputs = context.flatten(1).numpy()
    new = drawn(5, 3, 2, seed=3)
    expected = by_the_normal_equations(
        inputs, target.flatten(1).numpy(), strength_of(found, inputs), new.flatten(1).numpy()
    )
    np.testing.assert_allclose(found.predicted(new).numpy(), expected, rtol=1e-9)


def test_its_error_is_that_of_leaving_each_sequence_out(monkeypatch: pytest.MonkeyPatch) -> None:
    context, target = noisy_course(12)
    inputs, targets = context.flatten(1).numpy(), target.flatten(1).numpy()
    monkeypatch.setattr(ridge, "_RIDGES", (0.1,))
    found = fitted_ridge(context, target)
    # The strength stays that of the whole sample, and each left-out fit has its own mean.
    strength = strength_of(found, inputs)
    residuals = []
    for row in range(12):
        others = np.arange(12) != row
        predicted = by_the_normal_equations(inputs[others], targets[others], strength, inputs[row : row + 1])
        residuals.append(targets[row] - predicted[0])
    assert found.error == pytest.approx(float((np.stack(residuals) ** 2).sum()), rel=1e-9)


def test_differences_are_mapped_where_the_level_drifts() -> None:
    levels = 100 * drawn(60, 1, 1)
    context = levels + drawn(60, 4, 1).cumsum(1)
    target = context[:, -1:] + (context[:, -1:] - context[:, -2:-1])
    found = fitted_ridge(context, target)
    assert found.is_relative
    torch.testing.assert_close(found.predicted(context), target.flatten(1), atol=0.01, rtol=0)
    assert found.figures["unexplained"] < 1e-6


def test_more_inputs_than_sequences_are_no_trouble_and_what_is_noise_stays_unexplained() -> None:
    found = fitted_ridge(drawn(10, 20, 2), drawn(10, 3, 2, seed=1))
    assert found.predicted(drawn(4, 20, 2, seed=2)).isfinite().all()
    assert 0.5 < found.unexplained < 3


def test_of_a_long_context_the_last_steps_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "MOST_INPUTS", 7)
    context, target = noisy_course()
    found = fitted_ridge(context, target)
    assert found.figures["inputs"] == 6
    monkeypatch.setattr(ridge, "MOST_INPUTS", 5)
    found = fitted_ridge(context, target)
    assert found.figures["inputs"] == 4
    changed = context.clone()
    changed[:, 0] = 99
    assert found.predicted(changed).equal(found.predicted(context))


def test_a_sample_without_any_variance_has_its_value_for_prediction() -> None:
    found = fitted_ridge(torch.full((3, 2, 1), 5.0), torch.full((3, 1, 1), 7.0))
    torch.testing.assert_close(found.predicted(torch.full((2, 2, 1), 5.0)), torch.full((2, 1), 7.0).double())
    assert all(np.isfinite(figure) for figure in found.figures.values())
