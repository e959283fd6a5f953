from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jepa_core.comparison.paired_test import Answer, paired_test
from jepa_core.comparison.sign_flip import pairs_needed, sign_flip_p, smallest_p
from jepa_core.metrics import Better


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=9))
@settings(max_examples=40, deadline=None)
def test_the_p_value_is_that_of_scipys_exact_permutation_test(differences: list[int]) -> None:
    expected = stats.permutation_test(
        (np.array(differences, dtype=float),),
        lambda x, axis: np.abs(np.sum(x, axis=axis)),
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
        alternative="greater",
    )
    assert sign_flip_p(differences) == pytest.approx(expected.pvalue)


def test_agreeing_signs_give_the_smallest_p_and_many_pairs_are_still_exact() -> None:
    assert sign_flip_p([1.0, 2.0, 3.0]) == smallest_p(3) == 0.25
    assert sign_flip_p([0.1] * 32) == smallest_p(32)
    assert pairs_needed(0.05) == 6


@pytest.mark.parametrize(
    ("differences", "better", "answer"),
    [
        ([0.1] * 6, "higher", "better"),
        ([0.1] * 6, "lower", "worse"),
        ([0.1] * 6, "neither", "different"),
        ([0.1] * 5, "higher", "too few seeds"),
        ([0.1, -0.1] * 3, "higher", "not shown"),
        ([0.0] * 3, "higher", "equal"),
        ([math.nan, 0.1], "higher", "cannot be told"),
        ([0.1] * 33, "higher", "cannot be told"),
    ],
)
def test_the_answer_follows_p_direction_and_number_of_seeds(
    differences: list[float], better: Better, answer: Answer
) -> None:
    first = dict.fromkeys(range(len(differences)), 0.0)
    assert paired_test(first, dict(enumerate(differences)), better).answer == answer


def test_only_shared_seeds_are_paired() -> None:
    found = paired_test({1: 1.0, 2: 5.0}, {2: 6.0, 3: 9.0})
    assert (found.seeds, found.differences) == ((2,), (1.0,))
    assert "share no seed" in paired_test({1: 1.0}, {2: 1.0}).words
