from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from jepa_core.ablation.effects import AblationResult, LevelResult
from tests.ablation.results import Figures, a_plan, a_result

KINDS = ("mean", "attention")
WEIGHTS = ("0.02", "0.025")
ONE_FACTOR = {"aggregator.kind": KINDS}
TWO_FACTORS = {"aggregator.kind": KINDS, "losses.relational.weight": WEIGHTS}


def drawn(seeds: int, effect: float = 0.1) -> dict[tuple[tuple[str, ...], int], float]:
    """Figures of a grid of two factors: seeds differ much, attention adds about `effect`."""
    random = np.random.default_rng(0)
    of_seed = random.normal(0.4, 0.1, seeds)
    return {
        ((kind, weight), seed): float(of_seed[seed] + effect * (kind == "attention") + random.normal(0, 0.02))
        for kind, weight, seed in product(KINDS, WEIGHTS, range(seeds))
    }


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(values.mean())


def level(result: AblationResult, key: str, value: str) -> LevelResult:
    (factor,) = (factor for factor in result.factors if factor.key == key)
    return next(one for one in factor.levels if one.value == value)


def test_an_effect_is_tested_on_one_difference_per_seed_over_the_other_factors() -> None:
    figures = drawn(seeds=6)
    result = a_result(a_plan(TWO_FACTORS, 6), figures)
    attention = level(result, "aggregator.kind", "attention")
    differences = np.array(
        [np.mean([figures[("attention", w), seed] - figures[("mean", w), seed] for w in WEIGHTS]) for seed in range(6)]
    )
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    # All sign patterns, as scipy does them: 2^6 are fewer than the resamples it is allowed.
    permutation = stats.permutation_test((differences,), _mean, permutation_type="samples", n_resamples=1000)
    assert attention.test is not None
    assert attention.test.seeds == (0, 1, 2, 3, 4, 5)
    assert attention.test.differences == pytest.approx(differences, abs=1e-12)
    assert attention.test.difference is not None
    assert attention.test.difference.mean == pytest.approx(differences.mean())
    assert (attention.test.difference.low, attention.test.difference.high) == pytest.approx(tuple(expected))
    assert attention.test.p == pytest.approx(permutation.pvalue)
    assert attention.test.answer == "better"


def test_a_levels_mean_and_interval_are_of_one_average_per_seed() -> None:
    figures = drawn(seeds=5)
    mean = level(a_result(a_plan(TWO_FACTORS, 5), figures), "aggregator.kind", "mean").mean
    averages = [np.mean([figures[("mean", weight), seed] for weight in WEIGHTS]) for seed in range(5)]
    low, high = stats.t.interval(0.95, 4, np.mean(averages), stats.sem(averages))
    assert mean is not None
    assert (mean.mean, mean.low, mean.high) == pytest.approx((np.mean(averages), low, high))


def test_cells_that_barely_differ_do_not_count_as_more_evidence() -> None:
    figures = {
        (("attention" if k else "mean", w), s): 0.3 + 0.1 * k + 0.01 * s
        for k in (0, 1)
        for w in WEIGHTS
        for s in range(3)
    }
    attention = level(a_result(a_plan(TWO_FACTORS), figures), "aggregator.kind", "attention")
    assert attention.test is not None
    assert attention.test.answer == "too few seeds"
    assert "5 % takes 6" in attention.test.words


def test_runs_that_did_not_finish_leave_their_pair_out_and_are_said() -> None:
    figures: Figures = {**drawn(seeds=3), (("attention", "0.02"), 1): "aborted", (("mean", "0.025"), 2): "failed"}
    result = a_result(a_plan(TWO_FACTORS), figures)
    attention = level(result, "aggregator.kind", "attention")
    assert (attention.finished, attention.planned) == (5, 6)
    assert attention.test is not None
    only_pair = [figures[("attention", "0.025"), 1], figures[("mean", "0.025"), 1]]
    assert all(isinstance(figure, float) for figure in only_pair)
    assert attention.test.differences[1] == only_pair[0] - only_pair[1]  # type: ignore[operator]  # floats, see above
    assert "c3-attention-0_02-s1 was aborted" in result.notes
    assert "c2-mean-0_025-s2 failed" in result.notes
    assert any("flatters" in note for note in result.notes)


def test_figures_equal_in_every_digit_are_no_effect_at_all() -> None:
    figures = {((kind,), seed): 0.3 + 0.01 * seed for kind in KINDS for seed in range(3)}
    attention = level(a_result(a_plan(ONE_FACTOR), figures), "aggregator.kind", "attention")
    assert attention.equal_in_all
    assert attention.test is not None
    assert attention.test.answer == "equal"


def test_one_digit_that_differs_is_not_no_effect() -> None:
    figures = {((kind,), seed): 0.3 for kind in KINDS for seed in range(3)}
    figures[("attention",), 2] = math.nextafter(0.3, 1)
    assert not level(a_result(a_plan(ONE_FACTOR), figures), "aggregator.kind", "attention").equal_in_all


def test_figures_on_other_data_are_not_compared() -> None:
    figures = drawn(seeds=6)
    data = {(kind, weight): weight for kind in KINDS for weight in WEIGHTS}
    result = a_result(a_plan(TWO_FACTORS, 6), figures, data)
    weight = level(result, "losses.relational.weight", "0.025")
    assert weight.on_other_data
    assert weight.test is None
    attention = level(result, "aggregator.kind", "attention")
    assert attention.test is not None
    assert attention.test.answer == "better"
    assert result.best_cell is None
    assert result.notes[0].startswith("OTHER DATA: ")
    assert not any("OTHER DATA" in note for note in a_result(a_plan(TWO_FACTORS, 6), figures).notes)


def test_the_best_cell_is_the_one_with_the_best_mean_among_those_that_are_complete() -> None:
    figures: dict[tuple[tuple[str, ...], int], float] = {
        ((kind,), seed): figure
        for kind, figure in (("mean", 0.3), ("attention", 0.5), ("last", 0.4))
        for seed in range(2)
    }
    plan = a_plan({"aggregator.kind": ("mean", "attention", "last")}, 2)
    assert a_result(plan, figures).best_cell == 1
    assert a_result(plan, {**figures, (("attention",), 1): "aborted"}).best_cell == 2


def test_the_best_validation_stands_beside_the_last() -> None:
    figures = {((kind,), seed): 0.05 for kind in KINDS for seed in range(2)}
    cell = a_result(a_plan(ONE_FACTOR, 2), figures).cells[0]
    assert cell.final is not None
    assert cell.best is not None
    assert (cell.final.mean, cell.best.mean) == (0.05, 0.1)


def test_nothing_is_claimed_of_runs_that_have_not_begun() -> None:
    figures: Figures = {((kind,), seed): "waiting" for kind in KINDS for seed in range(2)}
    result = a_result(a_plan(ONE_FACTOR, 2), figures)
    assert result.notes == ("4 of 4 runs have not been run yet",)
    assert result.best_cell is None
    assert level(result, "aggregator.kind", "mean").mean is None
    test = level(result, "aggregator.kind", "attention").test
    assert test is not None
    assert test.seeds == ()
