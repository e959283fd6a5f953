"""Ridge regression from the steps of a context to those that follow, in closed form (Hoerl & Kennard 1970).

The ridge is the one of a few whose leave-one-out error is least, which costs no further fit: a residual divided by
1 − its own weight (Allen 1974). So is whether values are mapped, or their differences to the last step (as in NLinear,
arXiv 2205.13504), which is right where the level drifts.

Shapes: S sequences, I steps of context, O steps of target, K channels, X numbers that enter, R of rank.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

MOST_INPUTS = 512
"""Numbers of the context that enter; of a longer one the last steps do, and at least one."""

_RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Tried, relative to the mean variance of the inputs along their principal directions."""

_LEAST_FREEDOM = 1e-6
"""Of a residual: 1 − its own weight."""


@attrs.frozen(kw_only=True)
class RidgeMap:
    """What was fitted, in float64."""

    weights: Tensor
    """(X, O · K)"""
    input_mean: Tensor
    """(X,)"""
    target_mean: Tensor
    """(O · K,)"""
    is_relative: bool
    """Whether inputs and targets are differences to the context's last step."""
    num_steps: int
    """Steps of the context that enter, the last ones."""
    ridge: float
    error: float
    """Sum of squared leave-one-out residuals."""
    unexplained: float
    """That over the targets' sum of squares about their mean."""

    @property
    def figures(self) -> dict[str, float]:
        """What was found, by name."""
        return {
            "ridge": self.ridge,
            "relative": float(self.is_relative),
            "inputs": float(len(self.weights)),
            "unexplained": self.unexplained,
        }

    def predicted(self, context_SIK: Tensor) -> Tensor:
        """(S, O · K) float64, on the context's device."""
        weights, input_mean, target_mean = (
            tensor.to(context_SIK.device) for tensor in (self.weights, self.input_mean, self.target_mean)
        )
        last_SK = context_SIK[:, -1]
        inputs = _inputs(context_SIK, self.num_steps, self.is_relative)
        predicted: Tensor = (inputs - input_mean) @ weights + target_mean
        if not self.is_relative:
            return predicted
        num_steps = predicted.shape[1] // last_SK.shape[1]
        return predicted + last_SK.repeat(1, num_steps)


def fitted_ridge(context_SIK: Tensor, target_SOK: Tensor) -> RidgeMap:
    """The best of a few ridges, on values or on differences. On the CPU, where it is the same in every run."""
    context, target = context_SIK.double().cpu(), target_SOK.double().cpu()
    total = float((target - target.mean(0)).square().sum())
    return min((_best(context, target, is_relative, total) for is_relative in (False, True)), key=lambda m: m.error)


def _best(context_SIK: Tensor, target_SOK: Tensor, is_relative: bool, total: float) -> RidgeMap:
    num_steps = min(context_SIK.shape[1], max(1, MOST_INPUTS // context_SIK.shape[2]))
    inputs = _inputs(context_SIK, num_steps, is_relative)
    targets = (target_SOK - context_SIK[:, -1:] if is_relative else target_SOK).flatten(1)
    input_mean, target_mean = inputs.mean(0), targets.mean(0)
    left_SR, sizes_R, right_RX = torch.linalg.svd(inputs - input_mean, full_matrices=False)
    centred = targets - target_mean
    along = left_SR.T @ centred
    variance = float(sizes_R.square().mean()) or 1.0
    errors, maps = [], []
    for ridge in _RIDGES:
        shrunk_R = sizes_R.square() / (sizes_R.square() + ridge * variance)
        own_weight = 1 / len(inputs) + left_SR.square() @ shrunk_R
        freedom = (1 - own_weight).clamp(min=_LEAST_FREEDOM)
        residuals = (centred - left_SR @ (shrunk_R[:, None] * along)) / freedom[:, None]
        errors.append(float(residuals.square().sum()))
        maps.append((sizes_R / (sizes_R.square() + ridge * variance))[:, None] * along)
    best = errors.index(min(errors))
    return RidgeMap(
        weights=right_RX.T @ maps[best],
        input_mean=input_mean,
        target_mean=target_mean,
        is_relative=is_relative,
        num_steps=num_steps,
        ridge=_RIDGES[best],
        error=errors[best],
        unexplained=errors[best] / total if total else 0.0,
    )


def _inputs(context_SIK: Tensor, num_steps: int, is_relative: bool) -> Tensor:
    """(S, X): the last steps, flattened."""
    steps = context_SIK[:, -num_steps:]
    chosen: Tensor = steps - context_SIK[:, -1:] if is_relative else steps
    return chosen.flatten(1)
