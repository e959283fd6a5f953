"""Exponential moving average of a curve over both sides of each value, so that it does not lag behind the curve."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from jepa_monitor.charts.spec import Floats

_SMALLEST_WEIGHT = 1e-8
"""How far the weights may fall within a block of the scan before its sums lose digits."""
_FEW = 64


def smoothed(ys: Floats, strength: float) -> NDArray[np.float64]:
    """`ys` with noise averaged away; a value weighs `strength` times less with each step away.

    The average is over what is there at either side, so that neither end is drawn towards zero.
    Values that are not finite stay as they are and are left out of the average.

    Args:
        ys: (N,) values, oldest first.
        strength: from 0, nothing changes, to below 1; 0.9 averages over about ten values at each side.

    Raises:
        ValueError: `strength` is outside of [0, 1).
    """
    if not 0 <= strength < 1:
        raise ValueError(f"the strength of smoothing must be at least 0 and below 1, got {strength}")
    result = np.array(ys, dtype=np.float64)
    finite = np.isfinite(result)
    values = result[finite]
    if strength == 0 or not values.size:
        return result
    size = float(np.abs(values).max()) or 1.0
    scaled = values / size
    sums = _decaying_sums(scaled, strength) + _decaying_sums(scaled[::-1], strength)[::-1] - scaled
    weights = -np.expm1(np.arange(1, values.size + 1) * math.log(strength)) / (1 - strength)
    result[finite] = sums / (weights + weights[::-1] - 1) * size
    return result


def _decaying_sums(values: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """s₀ = v₀ and sᵢ = decay · sᵢ₋₁ + vᵢ, block by block: sums within all blocks at once, then what each hands on."""
    block = max(int(math.log(_SMALLEST_WEIGHT) / math.log(decay)), 1)
    if block == 1 or values.size <= _FEW:
        return _one_by_one(values, decay) if block > 1 else _nearest_three(values, decay)
    num_blocks = -(-values.size // block)
    padded = np.zeros(num_blocks * block)
    padded[: values.size] = values
    weights = decay ** np.arange(block)
    within = np.cumsum(padded.reshape(num_blocks, block) / weights, axis=1) * weights
    handed_on = _decaying_sums(within[:-1, -1], decay**block) if num_blocks > 1 else np.empty(0)
    within[1:] += handed_on[:, np.newaxis] * (weights * decay)
    sums: NDArray[np.float64] = within.ravel()[: values.size]
    return sums


def _one_by_one(values: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    sums = values.copy()
    for index in range(1, len(sums)):
        sums[index] += decay * sums[index - 1]
    return sums


def _nearest_three(values: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """For a decay whose cube is below any digit that counts."""
    sums = values.copy()
    sums[1:] += decay * values[:-1]
    sums[2:] += decay**2 * values[:-2]
    return sums
