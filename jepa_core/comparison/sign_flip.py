"""The exact sign-flip test on paired differences, in plain Python.

If a change did nothing, each pair's difference might as well have had the other sign: the p-value is the share of all
2^n sign patterns whose sum is at least as far from zero as the one seen. R. A. Fisher, "The Design of Experiments"
(1935), section 21. No assumption on the distribution, and no figure below 2^(1-n) can come out. Knows nothing of runs.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

MAX_PAIRS = 32
"""Most pairs that are tested: the patterns of each half, 2^16, are held in memory."""

_ROUNDING = 1e-9


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of the mean difference.

    Raises:
        ValueError: there is no difference, or there are more than `MAX_PAIRS`.
    """
    if not 1 <= len(differences) <= MAX_PAIRS:
        raise ValueError(f"the sign-flip test takes 1 to {MAX_PAIRS} differences, not {len(differences)}")
    middle = len(differences) // 2
    left, right = _flipped_sums(differences[:middle]), sorted(_flipped_sums(differences[middle:]))
    # Sums of the same size in another order differ by rounding; they count as equal.
    seen = abs(sum(differences)) - _ROUNDING * sum(map(abs, differences))
    if seen <= 0:
        return 1.0
    as_far = sum(len(right) - bisect_left(right, seen - one) + bisect_right(right, -seen - one) for one in left)
    return as_far / (len(left) * len(right))


def smallest_p(pairs: int) -> float:
    """The least p-value that so many pairs can give: all differences have one sign."""
    return 2.0 ** (1 - pairs)


def pairs_needed(level: float) -> int:
    """How many pairs it takes at least to get a p-value of `level`."""
    pairs = 1
    while smallest_p(pairs) > level:
        pairs += 1
    return pairs


def _flipped_sums(differences: Sequence[float]) -> list[float]:
    sums = [0.0]
    for difference in differences:
        sums = [total + signed for total in sums for signed in (difference, -difference)]
    return sums
