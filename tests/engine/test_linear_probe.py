"""The linear probe equals scikit-learn on the same folds, keeps groups apart, and moves no generator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge  # type: ignore[import-untyped]  # it ships no types
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]  # it ships no types
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]  # it ships no types
from torch import Tensor

from jepa_core.engine.linear_probe import (
    _MOST_OWN_DIRECTIONS,
    NUM_FOLDS,
    RIDGE_PENALTIES,
    fit_logistic,
    fit_ridge,
    folds_of,
    held_out_classes,
    held_out_numbers,
)


def drawn(num: int, dim: int, seed: int = 0) -> Tensor:
    """Features of very different means and spreads, float64."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return features * torch.logspace(-2, 2, dim, dtype=torch.float64) + torch.linspace(-5, 5, dim, dtype=torch.float64)


def classes_of(features: Tensor, num_classes: int) -> Tensor:
    """(V,) int64 by a linear map of features and some noise."""
    generator = torch.Generator().manual_seed(1)
    map_FK = torch.randn(features.shape[1], num_classes, generator=generator, dtype=torch.float64)
    logits = (features - features.mean(0)) / features.std(0) @ map_FK
    return (logits + torch.randn(logits.shape, generator=generator, dtype=torch.float64)).argmax(1)


def groups_of_three(num: int) -> Tensor:
    return torch.arange(num) // 3


def fitted(model: LogisticRegression | Ridge, features: Tensor, answers: Tensor) -> tuple[StandardScaler, np.ndarray]:
    """The scaler and coefficients (K, F) of scikit-learn."""
    pipeline = make_pipeline(StandardScaler(), model).fit(features.numpy(), answers.numpy())
    return pipeline[0], np.atleast_2d(pipeline[1].coef_)


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_logistic_regression_has_the_coefficients_of_scikit_learn(num_classes: int) -> None:
    features = drawn(120, 8)
    classes = classes_of(features, num_classes)
    halves = torch.stack([torch.arange(120) % 2 == half for half in (0, 1)] + [torch.ones(120, dtype=torch.bool)])
    ours = fit_logistic(features, classes, num_classes, halves)
    for rows, weights, bias in zip(halves, ours.weights, ours.bias, strict=True):
        sklearn = LogisticRegression(C=1, tol=1e-10, max_iter=10_000)
        scaler, coefficients = fitted(sklearn, features[rows], classes[rows])
        scaled = (weights * torch.from_numpy(scaler.scale_)[:, None])[:, 1 if num_classes == 2 else 0 :]
        np.testing.assert_allclose(scaled.T, coefficients, atol=1e-3)
        shares = (features @ weights + bias).softmax(1)
        np.testing.assert_allclose(shares, sklearn.predict_proba(scaler.transform(features)), atol=1e-3)
        assert np.abs(coefficients).max() > 0.5


def test_many_features_are_fitted_as_scikit_learn_does() -> None:
    num_features = _MOST_OWN_DIRECTIONS + 8
    features = drawn(90, num_features)
    classes = classes_of(features[:, :8], 3)
    halves = torch.stack([torch.arange(90) % 2 == half for half in (0, 1)])
    ours = fit_logistic(features, classes, 3, halves)
    for rows, weights, bias in zip(halves, ours.weights, ours.bias, strict=True):
        sklearn = LogisticRegression(C=1, tol=1e-10, max_iter=10_000)
        scaler, _ = fitted(sklearn, features[rows], classes[rows])
        shares = (features @ weights + bias).softmax(1)
        np.testing.assert_allclose(shares, sklearn.predict_proba(scaler.transform(features)), atol=1e-3)


def test_nearly_collinear_features_are_fitted_to_the_end() -> None:
    generator = torch.Generator().manual_seed(0)
    mixed = [torch.randn(40, 40, generator=generator, dtype=torch.float64) for _ in range(2)]
    spread = torch.logspace(0, -6, 40, dtype=torch.float64)
    features = torch.randn(600, 40, generator=generator, dtype=torch.float64) @ (mixed[0] * spread) @ mixed[1]
    classes = classes_of(features, 12)
    ours = fit_logistic(features, classes, 12, torch.ones(1, 600, dtype=torch.bool))
    sklearn = LogisticRegression(C=1, tol=1e-12, solver="newton-cg", max_iter=10_000)
    scaler, _ = fitted(sklearn, features, classes)
    expected = torch.from_numpy(sklearn.predict_proba(scaler.transform(features)))
    shares = ours(features)[0].softmax(1)
    torch.testing.assert_close(shares, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("num_classes", [2, 4])
def test_classes_of_held_out_folds_are_those_of_scikit_learn(num_classes: int) -> None:
    features = drawn(90, 6)
    classes = classes_of(features, num_classes)
    folds = folds_of(classes, groups_of_three(90))
    expected = torch.empty_like(classes)
    for fold in range(NUM_FOLDS):
        inside = folds != fold
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1, tol=1e-10, max_iter=10_000))
        model.fit(features[inside].numpy(), classes[inside].numpy())
        expected[~inside] = torch.from_numpy(model.predict(features[~inside].numpy()))
    predicted = held_out_classes(features, classes, folds)
    assert predicted.tolist() == expected.tolist()
    assert 1 / num_classes + 0.1 < (predicted == classes).double().mean() < 1


@pytest.mark.parametrize("dim", [6, 80])
def test_ridge_regression_has_the_coefficients_of_scikit_learn(dim: int) -> None:
    """With fewer features than sequences, and with more."""
    features = drawn(50, dim)
    numbers = features[:, 0] / features[:, 0].std() + 0.1 * drawn(50, 1, seed=2)[:, 0]
    ours = fit_ridge(features, numbers, RIDGE_PENALTIES)
    for penalty, told in zip(RIDGE_PENALTIES, ours(features), strict=True):
        sklearn = Ridge(alpha=penalty)
        scaler, coefficients = fitted(sklearn, features, numbers)
        weights = ours.weights[RIDGE_PENALTIES.index(penalty)] * torch.from_numpy(scaler.scale_)[:, None]
        np.testing.assert_allclose(weights.T, coefficients, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(told[:, 0], sklearn.predict(scaler.transform(features)), rtol=1e-6)


@pytest.mark.parametrize("dim", [6, 80])
def test_numbers_of_held_out_folds_are_those_of_scikit_learn_with_the_penalty_of_the_next_fold(dim: int) -> None:
    features = drawn(60, dim)
    numbers = features[:, 0] / features[:, 0].std() + drawn(60, 1, seed=2)[:, 0] / 1e-2 + 3
    folds = folds_of(numbers, groups_of_three(60))
    expected = torch.empty_like(numbers)
    chosen = []
    for fold in range(NUM_FOLDS):

        def error(penalty: float, rows: Tensor, others: Tensor) -> float:
            model = make_pipeline(StandardScaler(), Ridge(alpha=penalty)).fit(features[rows], numbers[rows])
            return float(((model.predict(features[others]) - numbers[others].numpy()) ** 2).sum())

        tried, inside = folds == (fold + 1) % NUM_FOLDS, folds != fold
        chosen.append(min(RIDGE_PENALTIES, key=lambda penalty: error(penalty, inside & ~tried, tried)))
        model = make_pipeline(StandardScaler(), Ridge(alpha=chosen[-1])).fit(features[inside], numbers[inside])
        expected[~inside] = torch.from_numpy(model.predict(features[~inside]))
    torch.testing.assert_close(held_out_numbers(features, numbers, folds), expected)
    assert set(chosen) != {RIDGE_PENALTIES[0]}, chosen


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(2, 40), st.integers(2, 6))
def test_no_group_is_in_two_folds_and_folds_are_as_even_as_groups_allow(
    seed: int, num_groups: int, num_classes: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    groups = torch.arange(num_groups).repeat(3)[torch.randperm(3 * num_groups, generator=generator)] * 7
    classes = torch.randint(num_classes, (num_groups,), generator=generator)[groups // 7]
    folds = folds_of(classes, groups)
    of_group = {int(group): set(folds[groups == group].tolist()) for group in groups.unique()}
    assert all(len(used) == 1 for used in of_group.values())
    sizes = folds.bincount(minlength=NUM_FOLDS)
    assert sizes.max() - sizes.min() <= 3
    for number in classes.unique():
        of_class = groups[classes == number].unique()
        used = {next(iter(of_group[int(group)])) for group in of_class}
        assert len(used) == min(len(of_class), NUM_FOLDS)


def test_folds_and_predictions_draw_no_random_number_and_depend_on_none() -> None:
    features = drawn(60, 5)
    classes = classes_of(features, 3)
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        folds = folds_of(classes, groups_of_three(60))
        results.append(
            (folds, held_out_classes(features, classes, folds), held_out_numbers(features, classes.double(), folds))
        )
        assert torch.get_rng_state().equal(before)
    assert all(one.equal(other) for one, other in zip(*results, strict=True))


def test_a_task_seen_in_the_fit_would_answer_and_is_not() -> None:
    """Features that are the group's own name say nothing of the class of another group."""
    groups = torch.arange(20).repeat_interleave(3)
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(2, (20,), generator=generator)[groups]
    features = torch.eye(20)[groups]
    apart = held_out_classes(features, classes, folds_of(classes, groups))
    together = held_out_classes(features, classes, torch.arange(60) % 3)
    assert (together == classes).all()
    assert (apart == classes).double().mean() < 0.7


def test_statistics_are_of_the_fitted_folds_alone() -> None:
    """A shift of the held-out features moves their predictions, as it would not if they were standardised too."""
    features = drawn(60, 3)
    features[:, 2] = 0
    numbers = (features[:, 0] - features[:, 0].mean()) / features[:, 0].std()
    folds = folds_of(numbers, torch.arange(60))
    shifted = features.clone()
    shifted[folds == 0, 0] += 100 * features[:, 0].std()
    moved = (
        held_out_numbers(shifted, numbers, folds)[folds == 0] - held_out_numbers(features, numbers, folds)[folds == 0]
    )
    assert moved.min() > 50


def test_features_that_differ_by_rounding_alone_say_nothing() -> None:
    classes = torch.tensor([0] * 40 + [1] * 20)
    folds = folds_of(classes, torch.arange(60))
    for size in (3.0, 3e7):
        features = size * (1 + 1e-7 * classes[:, None].float().repeat(1, 4))
        assert features.unique().numel() == 2
        assert (held_out_classes(features, classes, folds) == 0).all()
        numbers = classes.double()
        means = torch.stack([numbers[folds != fold].mean() for fold in folds])
        torch.testing.assert_close(held_out_numbers(features, numbers, folds), means)
    close = 3 + 1e-3 * classes[:, None].float().repeat(1, 4)
    assert (held_out_classes(close, classes, folds) == classes).all()


def test_features_that_are_not_finite_are_not_credited() -> None:
    features = drawn(60, 4)
    classes = (features[:, 3] > features[:, 3].median()).long()
    numbers = features[:, 3].clone()
    folds = folds_of(classes, torch.arange(60))
    features[7, 2], features[31, 0] = torch.nan, torch.inf
    predicted = held_out_classes(features, classes, folds)
    assert (predicted == -1).nonzero()[:, 0].tolist() == [7, 31]
    assert (predicted == classes).sum() > 50
    told = held_out_numbers(features, numbers, folds_of(numbers, torch.arange(60)))
    assert told[[7, 31]].tolist() == [float(numbers.mean())] * 2
    nothing = held_out_classes(torch.full((60, 4), torch.nan), classes, folds)
    assert (nothing == -1).all()


def test_a_class_that_the_fitted_folds_lack_is_never_predicted() -> None:
    """Its two groups are in one fold: whoever asks has to see to it that it is not, and nothing breaks."""
    classes = torch.tensor([0, 1, 0, 1, 2, 2])
    folds = torch.tensor([0, 0, 1, 1, 2, 2])
    predicted = held_out_classes(torch.eye(3)[classes], classes, folds)
    assert predicted[:4].tolist() == [0, 1, 0, 1]
    assert set(predicted[4:].tolist()) <= {0, 1}


def test_half_precision_and_autocast_do_not_change_it() -> None:
    features = drawn(60, 5).bfloat16()
    classes = classes_of(features.double(), 3)
    folds = folds_of(classes, torch.arange(60))
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        mixed = held_out_classes(features, classes, folds)
    assert mixed.equal(held_out_classes(features.double(), classes, folds))
