"""Means with their interval by Student's t, in plain Python.

Student, "The probable error of a mean" (Biometrika 6, 1908). The quantile is found by bisection on the tail, which is a
regularised incomplete beta function, here by its continued fraction (Lentz's method). Knows nothing of runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from jepa_core.metrics import Metric

CONFIDENCE = 0.95
"""Probability that an interval is made for."""

_TINY = 1e-300
_MOST_TERMS = 500


@attrs.frozen(kw_only=True)
class MeanInterval:
    """A mean, and where the true one lies with 95 % confidence."""

    mean: float
    low: float | None
    """None where there is no interval: fewer than two values, or a sum that is not finite."""
    high: float | None
    count: int

    def within(self, metric: Metric) -> MeanInterval:
        """Cut to what the metric can be: Student's t knows of no bounds."""
        if self.low is None or self.high is None:
            return self
        least = -math.inf if metric.minimum is None else min(metric.minimum, self.mean)
        most = math.inf if metric.maximum is None else max(metric.maximum, self.mean)
        return attrs.evolve(self, low=max(self.low, least), high=min(self.high, most))


def mean_interval(values: Sequence[float]) -> MeanInterval:
    """The mean of independent values, such as one figure of several seeds, with its interval.

    Raises:
        ValueError: there is no value.
    """
    count = len(values)
    if not count:
        raise ValueError("there is no mean of no values")
    if not math.isfinite(sum(values)):
        return MeanInterval(mean=sum(values) / count, low=None, high=None, count=count)
    mean = math.fsum(values) / count
    if count == 1:
        return MeanInterval(mean=mean, low=None, high=None, count=1)
    # Squares of large values have no float; their root has.
    deviation = math.hypot(*(value - mean for value in values))
    half = t_quantile((1 + CONFIDENCE) / 2, count - 1) * deviation / math.sqrt((count - 1) * count)
    return MeanInterval(mean=mean, low=mean - half, high=mean + half, count=count)


def t_quantile(probability: float, degrees: int) -> float:
    """The value that Student's t with `degrees` of freedom stays below with `probability`, from 0.5 on.

    Exact to eight digits; right at 0.5, where it is zero, to 1e-6.

    Raises:
        ValueError: `probability` is not within [0.5, 1), or there is no degree of freedom.
    """
    if not 0.5 <= probability < 1 or degrees < 1:
        raise ValueError(f"no quantile of t for probability {probability} and {degrees} degrees of freedom")
    tail = 1 - probability
    low, high = 0.0, 1.0
    while _upper_tail(high, degrees) > tail:
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _upper_tail(middle, degrees) > tail else (low, middle)
    return high


def _upper_tail(t: float, degrees: int) -> float:
    return _regularised_beta(degrees / (degrees + t * t), degrees / 2, 0.5) / 2


def _regularised_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b), for x within [0, 1]."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # The fraction converges fast on one side of the mean only; on the other, symmetry gives the rest.
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1 - front * _beta_fraction(1 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            d = 1 / _away_from_zero(1 + numerator * d)
            c = _away_from_zero(1 + numerator / c)
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
