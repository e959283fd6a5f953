"""What a linear map reads off frozen features: L2-regularised logistic regression for classes, ridge for numbers.

Held-out predictions by cross-validation over groups: no group is both fitted and judged. Features are standardised by
the statistics of what is fitted alone. All in float64 on the features' device; no random number is drawn.

Shapes: V sequences, F features, K classes. Knows labels and groups as numbers, not what they mean.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.engine.representation import ROUNDING, where_solved

NUM_FOLDS = 5

LOGISTIC_PENALTY = 1.0
"""Weight of half the squared coefficients beside the summed cross-entropy: scikit-learn's 1 / C."""

RIDGE_PENALTIES = (1.0, 10.0, 100.0, 1e3, 1e4)
"""Weights of the squared coefficients beside the summed squared error (scikit-learn's alpha). The one that does best
within the fitted folds is taken: where features are as many as sequences, any single one would be far off for some."""

_NEVER = -1e9
"""Logit of a class that is not to be predicted; finite, so that nothing times it is nothing."""

_MOST_STEPS = 100
"""Of Newton's method; ten are the rule."""

_MOST_OWN_DIRECTIONS = 512
"""Features, to find principal directions of each problem's own: of more it takes longer than it saves."""

_MOST_CONJUGATE_STEPS = 60
"""To find the direction of one of them."""

_MOST_HALVINGS = 30
"""Of a step until the loss falls."""

_SMALLEST = 1e-300
"""Divides nothing by nothing."""

_TOLERANCE = 1e-6
"""Of the mean loss's gradient, at which a logistic regression is fitted: coefficients are then good to about 1e-3."""

_CHOOSING_TOLERANCE = 3e-4
"""Where only the most likely class counts: shares are then good to about 1e-3. scikit-learn stops at 1e-4 of features
as they are; here it is that of their principal directions, where all of it is in few."""


@attrs.frozen(kw_only=True, eq=False)
class LinearMaps:
    """M linear maps of the same features."""

    weights: Tensor
    """(M, F, K), or (M, F, 1) of numbers: of features as they are, not standardised."""
    bias: Tensor
    """(M, K), or (M, 1) of numbers."""

    def __call__(self, features: Tensor) -> Tensor:
        """(V, F) float64 to (M, V, K) logits, or (M, V, 1) numbers."""
        return torch.einsum("vf,mfk->mvk", features, self.weights) + self.bias[:, None]


def folds_of(labels: Tensor, groups: Tensor) -> Tensor:
    """(V,) int64 below `NUM_FOLDS`: the fold of each sequence, the same for a whole group.

    `labels` and `groups` are (V,). Groups are dealt in turn in the order of their smallest label, so that classes and
    numbers are spread evenly over folds, and a class of two groups is in two.
    """
    _, group = groups.unique(return_inverse=True)
    num_groups = int(group.max()) + 1
    smallest = labels.new_zeros(num_groups).scatter_reduce(0, group, labels, "amin", include_self=False)
    place = torch.empty_like(group[:num_groups])
    place[smallest.argsort(stable=True)] = torch.arange(num_groups, device=group.device)
    return (place % NUM_FOLDS)[group]


def held_out_classes(features: Tensor, classes: Tensor, folds: Tensor) -> Tensor:
    """(V,) int64: the class of each of the features (V, F) by a logistic regression on the other folds.

    `classes` and `folds` are (V,) int64. −1, which is no class, where features are not finite.
    """
    features, is_finite = _usable(features)
    is_held_out = folds == folds.unique()[:, None]
    maps = fit_logistic(features, classes, int(classes.max()) + 1, ~is_held_out, tolerance=_CHOOSING_TOLERANCE)
    logits = maps(features)
    predicted = logits.argmax(2).gather(0, is_held_out.long().argmax(0)[None])[0]
    return predicted.masked_fill(~is_finite, -1)


def held_out_numbers(features: Tensor, numbers: Tensor, folds: Tensor) -> Tensor:
    """(V,) float64: the number of each of the features (V, F) by a ridge regression on the other folds.

    `numbers` are (V,) float64, `folds` (V,) int64 with all `NUM_FOLDS` in it. The penalty is the one that does best on
    the next fold when the remaining ones are fitted. The mean of all numbers where features are not finite.
    """
    features, is_finite = _usable(features)
    predicted = torch.empty_like(numbers)
    for fold in range(NUM_FOLDS):
        held_out, tried = folds == fold, folds == (fold + 1) % NUM_FOLDS
        inner = ~held_out & ~tried
        told = fit_ridge(features[inner], numbers[inner], RIDGE_PENALTIES)(features[tried])[:, :, 0]
        best = int((told - numbers[tried]).square().sum(1).argmin())
        chosen = fit_ridge(features[~held_out], numbers[~held_out], RIDGE_PENALTIES[best : best + 1])
        predicted[held_out] = chosen(features[held_out])[0, :, 0]
    return torch.where(is_finite, predicted, numbers.mean())


def fit_logistic(
    features: Tensor, classes: Tensor, num_classes: int, fitted: Tensor, *, tolerance: float = _TOLERANCE
) -> LinearMaps:
    """M multinomial logistic regressions by Newton's method, side by side: a device is asked once, not M times.

    Each direction is found by preconditioned conjugate gradients, the more exactly the nearer the end is (Dembo and
    Steihaug 1983).
    Of two classes one has coefficients, as in scikit-learn.

    Args:
        features: (V, F) float64.
        classes: (V,) int64 below `num_classes`. One that no fitted sequence has is never predicted.
        num_classes: K.
        fitted: (M, V) bool: the sequences that each is fitted to, and by which its features are standardised.
        tolerance: of the mean loss's gradient, at which they are fitted.
    """
    chosen = F.one_hot(classes, num_classes).to(features)
    mean, scale = (statistic[:, None] for statistic in _statistics(features, fitted))
    share = (fitted / fitted.sum(1, keepdim=True).to(features))[:, :, None]
    # Along principal directions features vary independently, nearly, so that each coefficient's curvature is its own.
    standardised = (features - mean) / scale
    directions = _principal_directions(standardised, share)
    # (M, V, F + 1), the last column being the bias's.
    inputs = F.pad(standardised @ directions, (0, 1), value=1.0)
    spread = (share * inputs.square()).sum(1)[:, :, None]
    # Of every coefficient but the bias.
    penalty = F.pad((LOGISTIC_PENALTY * share.amax(1, keepdim=True)).expand(-1, features.shape[1], 1), (0, 0, 0, 1))
    absent = (share.transpose(1, 2) @ chosen) == 0
    first = 1 if num_classes == 2 else 0

    def logits_of(weights: Tensor) -> Tensor:
        return F.pad(inputs @ weights, (first, 0)) if first else inputs @ weights

    def back(logits: Tensor) -> Tensor:
        """The transpose of `logits_of`."""
        return inputs.transpose(1, 2) @ logits[:, :, first:]

    def looked_at(weights: Tensor) -> tuple[Tensor, Tensor]:
        log_shares = logits_of(weights).masked_fill(absent, _NEVER).log_softmax(2)
        misfit = (share * chosen * log_shares).sum((1, 2), keepdim=True)
        return log_shares, _dot(penalty * weights, weights) / 2 - misfit

    weights = features.new_zeros(len(fitted), inputs.shape[2], num_classes - first)
    log_shares, losses = looked_at(weights)
    for _ in range(_MOST_STEPS):
        shares = log_shares.exp()
        gradient = back((shares - chosen) * share) + penalty * weights
        if gradient.abs().max() <= tolerance:
            break

        def curved(change: Tensor, shares: Tensor = shares, weighed: Tensor = share * shares) -> Tensor:
            """The second derivative times a change of the weights."""
            moved = logits_of(change)
            return back(weighed * (moved - (shares * moved).sum(2, keepdim=True))).addcmul_(penalty, change)

        # What `curved` would be if classes were as likely everywhere as on average, and each by itself.
        alike = (share * shares * (1 - shares)).sum(1, keepdim=True)[:, :, first:]
        direction = _conjugate_gradients(curved, -gradient, (spread * alike + penalty).clamp_min(_SMALLEST))
        weights, log_shares, losses = _downhill(looked_at, weights, losses, direction, _dot(gradient, direction))
    slopes = directions @ weights[:, :-1] / scale.transpose(1, 2)
    bias = weights[:, -1] - (mean @ slopes)[:, 0]
    bias = F.pad(bias, (first, 0)).masked_fill(absent[:, 0], _NEVER)
    return LinearMaps(weights=F.pad(slopes, (first, 0)), bias=bias)


def _principal_directions(inputs: Tensor, share: Tensor) -> Tensor:
    """(M, F, F), or (1, F, F) for all problems: directions along which inputs (M, V, F) vary independently, where rows
    count by their share (M, V, 1). With any orthonormal ones the solution is the same; with these it is near."""
    covariance = inputs.transpose(1, 2) @ (share * inputs)
    if inputs.shape[2] > _MOST_OWN_DIRECTIONS:
        covariance = covariance.mean(0, keepdim=True)
    directions: Tensor = torch.linalg.eigh(where_solved(covariance)).eigenvectors
    return directions.to(inputs.device)


def _conjugate_gradients(curved: Callable[[Tensor], Tensor], goal: Tensor, about: Tensor) -> Tensor:
    """What `curved` makes the goal (M, F, K) of, M problems side by side, as exactly as the goal is near nothing.

    `about` (M, F, K): what `curved` about multiplies each element by.
    """
    found, rest = torch.zeros_like(goal), goal
    along = eased = goal / about
    size, length = _dot(rest, eased), _dot(goal, goal)
    # As share of the goal's length: a half, or its root where that is less; squared.
    enough = length * length.sqrt().clamp_max(0.25)
    for _ in range(_MOST_CONJUGATE_STEPS):
        bent = curved(along)
        step = size / _dot(along, bent).clamp_min(_SMALLEST)
        found, rest = found.addcmul(step, along), rest.addcmul(step, bent, value=-1)
        if (_dot(rest, rest) <= enough).all():
            break
        eased = rest / about
        before, size = size, _dot(rest, eased)
        along = eased.addcmul(size / before.clamp_min(_SMALLEST), along)
    return found


def _downhill(
    looked_at: Callable[[Tensor], tuple[Tensor, Tensor]],
    weights: Tensor,
    losses: Tensor,
    direction: Tensor,
    slope: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights further along a direction, each problem as far as its loss falls for it (Armijo), with their look."""
    length = torch.ones_like(losses)
    for _ in range(_MOST_HALVINGS):
        moved = weights + length * direction
        log_shares, reached = looked_at(moved)
        falls = reached <= losses * (1 + 1e-12) + 1e-4 * length * slope
        if falls.all():
            break
        length = torch.where(falls, length, length / 2)
    return moved, log_shares, reached


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """(M, 1, 1) inner products of (M, F, K)."""
    return (one * other).sum((1, 2), keepdim=True)


def fit_ridge(features: Tensor, numbers: Tensor, penalties: tuple[float, ...]) -> LinearMaps:
    """Ridge regressions in closed form, one for each penalty, of features (V, F) and numbers (V,), float64."""
    everything = torch.ones(1, len(features), dtype=torch.bool, device=features.device)
    mean, scale = (values[0] for values in _statistics(features, everything))
    inputs, centre = (features - mean) / scale, numbers.mean()
    # Whichever is smaller: (X'X + a)⁻¹ X'y = X' (XX' + a)⁻¹ y.
    is_wide = inputs.shape[1] > inputs.shape[0]
    gram = inputs @ inputs.T if is_wide else inputs.T @ inputs
    right = (numbers - centre)[:, None] if is_wide else inputs.T @ (numbers - centre)[:, None]
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    solved = torch.stack([torch.linalg.solve(gram + penalty * identity, right) for penalty in penalties])
    weights = (inputs.T @ solved if is_wide else solved) / scale[:, None]
    return LinearMaps(weights=weights, bias=centre - mean @ weights)


def _usable(features: Tensor) -> tuple[Tensor, Tensor]:
    """(V, F) float64 with zeros for rows that are not finite, and (V,) bool, which are."""
    is_finite = features.isfinite().all(1)
    return torch.where(is_finite[:, None], features.double(), 0.0), is_finite


def _statistics(features: Tensor, fitted: Tensor) -> tuple[Tensor, Tensor]:
    """Means and standard deviations (M, F) over the `fitted` (M, V) of features (V, F).

    A feature that varies by rounding alone says nothing: its deviation is infinite, which makes its coefficients 0.
    """
    mean = torch.stack([features[rows].mean(0) for rows in fitted])
    std = torch.stack([features[rows].std(0, correction=0) for rows in fitted])
    rounding = ROUNDING * (std.square() + mean.square()).sqrt()
    return mean, torch.where(std > rounding, std, torch.inf)
