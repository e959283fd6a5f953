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


FIGURES = st.dictionaries(st.integers(0, 12), st.floats(-1e3, 1e3), min_size=1, max_size=10)
MIRRORED: dict[Answer, Answer] = {"better": "worse", "worse": "better"}


@given(FIGURES, FIGURES, st.sampled_from(["higher", "lower", "neither"]))
def test_the_other_way_round_differences_interval_and_answer_are_mirrored(
    first: dict[int, float], second: dict[int, float], better: Better
) -> None:
    there, back = paired_test(first, second, better), paired_test(second, first, better)
    assert there.differences == tuple(-difference for difference in back.differences)
    assert (there.seeds, there.p) == (back.seeds, back.p)
    assert there.answer == MIRRORED.get(back.answer, back.answer)
    if there.difference is not None and back.difference is not None:
        assert there.difference.mean == -back.difference.mean
        if there.difference.low is not None and back.difference.high is not None:
            assert there.difference.low == pytest.approx(-back.difference.high)


@given(FIGURES)
def test_a_group_beside_itself_is_equal_to_the_last_digit(figures: dict[int, float]) -> None:
    found = paired_test(figures, dict(figures), "higher")
    assert (found.answer, found.p, set(found.differences)) == ("equal", 1.0, {0.0})
    assert found.difference is not None
    assert found.difference.mean == 0.0


def test_infinities_that_both_have_are_no_difference_and_a_nan_cannot_be_told() -> None:
    assert paired_test({1: math.inf}, {1: math.inf}).answer == "equal"
    assert paired_test({1: math.nan}, {1: math.nan}).answer == "cannot be told"
    assert paired_test({1: 0.0, 2: 0.0}, {1: 1e308, 2: 1e308}).answer == "cannot be told"


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ([], "cannot be told: the groups share no seed"),
        ([0.1] * 33, "not tested: 33 pairs are more than the 32 that the exact test takes"),
        ([math.inf], "cannot be told: a figure is not finite"),
        ([0.0], "no difference: equal to the last digit in the one seed"),
        ([0.0] * 4, "no difference: equal to the last digit in all 4 seeds"),
        ([0.1], "cannot be told yet: one seed cannot give p below 1; 5 % takes 6"),
        ([0.1] * 3, "cannot be told yet: every seed agrees, but 3 seeds cannot give p below 0.25; 5 % takes 6"),
        ([0.1, 0.0, 0.1], "cannot be told yet: 3 seeds cannot give p below 0.25; 5 % takes 6"),
        ([0.1, -0.1] * 3, "not shown to be real: chance alone gives as much with p = 1"),
        ([-0.1] * 6, "real: worse in 6 of 6 seeds, p = 0.031"),
        ([0.9] * 8 + [-0.1], "real: better in 8 of 9 seeds, p = 0.0078"),
    ],
)
def test_every_answer_is_a_sentence_that_says_why(differences: list[float], words: str) -> None:
    first = dict.fromkeys(range(len(differences)), 0.0)
    assert paired_test(first, dict(enumerate(differences)), "higher").words == words


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=10), st.data())
@settings(deadline=None)
def test_p_depends_on_neither_order_nor_scale_nor_sign(sizes: list[float], data: st.DataObject) -> None:
    differences = [size * data.draw(st.sampled_from([-1, 1])) for size in sizes]
    expected = sign_flip_p(differences)
    assert smallest_p(len(differences)) <= expected <= 1
    for changed in (data.draw(st.permutations(differences)), [8 * d for d in differences], [-d for d in differences]):
        assert sign_flip_p(changed) == expected


@pytest.mark.parametrize("count", [0, 33])
def test_so_many_differences_are_not_tested(count: int) -> None:
    with pytest.raises(ValueError, match=f"not {count}"):
        sign_flip_p([0.1] * count)
