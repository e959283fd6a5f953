"""Is this gain real? Two groups of figures paired by seed, judged in words.

The p-value is the exact sign-flip test's; the interval of the mean difference is Student's. Knows nothing of runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import attrs

from jepa_core.comparison.sign_flip import MAX_PAIRS, pairs_needed, sign_flip_p, smallest_p
from jepa_core.comparison.student_t import MeanInterval, mean_interval
from jepa_core.metrics import Better

LEVEL = 0.05
"""A p-value up to this counts as real."""

Answer = Literal["better", "worse", "different", "equal", "not shown", "too few seeds", "cannot be told"]


@attrs.frozen(kw_only=True)
class PairedTest:
    """The second group against the first."""

    seeds: tuple[int, ...]
    """That both groups have, in order."""
    differences: tuple[float, ...]
    """Second minus first, one per seed."""
    difference: MeanInterval | None
    """None when no seed is shared."""
    p: float | None
    """None when it cannot be tested."""
    answer: Answer
    words: str
    """The answer as a sentence, without the figures' names."""


def paired_test(first: Mapping[int, float], second: Mapping[int, float], better: Better = "neither") -> PairedTest:
    """Test the figures of two groups, keyed by seed.

    Args:
        first: one figure per seed.
        second: likewise; seeds that only one group has are left out.
        better: whether a higher or a lower figure is better.
    """
    seeds = tuple(sorted(first.keys() & second.keys()))
    differences = tuple(0.0 if first[seed] == second[seed] else second[seed] - first[seed] for seed in seeds)
    testable = bool(seeds) and math.isfinite(sum(map(abs, differences))) and len(seeds) <= MAX_PAIRS
    p = sign_flip_p(differences) if testable else None
    answer, words = _answer(differences, p, better)
    difference = mean_interval(differences) if differences else None
    return PairedTest(seeds=seeds, differences=differences, difference=difference, p=p, answer=answer, words=words)


def _answer(differences: tuple[float, ...], p: float | None, better: Better) -> tuple[Answer, str]:
    pairs = len(differences)
    if p is None:
        return "cannot be told", _why_untested(differences)
    if not any(differences):
        return "equal", f"no difference: equal to the last digit {_in_seeds(pairs)}"
    if smallest_p(pairs) > LEVEL:
        return "too few seeds", _too_few(differences)
    if p > LEVEL:
        return "not shown", f"not shown to be real: chance alone gives as much with p = {p:.2g}"
    side, agreeing = _direction(differences, better)
    return side, f"real: {side} in {agreeing} of {pairs} seeds, p = {p:.2g}"


def _why_untested(differences: tuple[float, ...]) -> str:
    if not differences:
        return "cannot be told: the groups share no seed"
    if len(differences) > MAX_PAIRS:
        return f"not tested: {len(differences)} pairs are more than the {MAX_PAIRS} that the exact test takes"
    return "cannot be told: a figure is not finite"


def _too_few(differences: tuple[float, ...]) -> str:
    pairs, needed = len(differences), pairs_needed(LEVEL)
    signs = {difference > 0 for difference in differences if difference}
    agreement = "every seed agrees, but " if len(signs) == 1 and pairs > 1 and all(differences) else ""
    seeds = "one seed" if pairs == 1 else f"{pairs} seeds"
    return (
        f"cannot be told yet: {agreement}{seeds} cannot give p below {smallest_p(pairs):.2g}; "
        f"{LEVEL * 100:.0f} % takes {needed}"
    )


def _direction(differences: tuple[float, ...], better: Better) -> tuple[Literal["better", "worse", "different"], int]:
    rises = math.fsum(differences) > 0
    agreeing = sum(difference > 0 if rises else difference < 0 for difference in differences)
    if better == "neither":
        return "different", agreeing
    return ("better" if rises == (better == "higher") else "worse"), agreeing


def _in_seeds(pairs: int) -> str:
    return "in the one seed" if pairs == 1 else f"in all {pairs} seeds"
