"""An ablation as tables: intervals with the digits that they justify, and the words for every answer."""

from __future__ import annotations

import math
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.ablation.as_json import ablation_to_json
from jepa_core.comparison.paired_test import Answer
from jepa_core.comparison.student_t import MeanInterval
from jepa_core.presentation.ablation_table import ANSWERS, ablation_table, interval_text
from tests.ablation.results import a_plan, a_result
from tests.presentation.consoles import words_of

FACTOR = {"aggregator.kind": ("mean", "attention")}


def interval(mean: float, half: float | None) -> MeanInterval:
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return MeanInterval(mean=mean, low=low, high=high, count=1 if half is None else 3)


@pytest.mark.parametrize(
    ("mean", "half", "unit", "text"),
    [
        (0.412, None, "", "+0.412"),
        (-0.412, None, "%", "−41.2 %"),
        (0.412, 0.02, "", "+0.412 [0.392, 0.432]"),
        (0.412, 0.0002, "", "+0.41200 [0.41180, 0.41220]"),
        (-0.01, 0.02, "%", "−1.0 % [−3.0, 1.0]"),
        (1234.5, 2.0, "", "+1,234.5 [1,232.5, 1,236.5]"),
        (0.5, 0.0, "", "+0.500 [0.500, 0.500]"),
        (0.0, None, "", "0"),
        (math.nan, None, "", "nan"),
    ],
)
def test_an_interval_has_two_digits_of_its_width(mean: float, half: float | None, unit: str, text: str) -> None:
    assert interval_text(interval(mean, half), unit, signed=True) == text
    assert interval_text(None, unit) == ""


@given(st.floats(-1e4, 1e4), st.floats(1e-5, 1e4), st.sampled_from(["", "%"]))
def test_both_ends_of_an_interval_can_be_read_back(mean: float, half: float, unit: str) -> None:
    text = interval_text(interval(mean, half), unit).replace("−", "-").replace(",", "")
    low, high = (float(number) for number in text.partition("[")[2].rstrip("]").split())
    scale = 100 if unit == "%" else 1
    tolerance = max(1e-6, half * scale / 10)
    assert low == pytest.approx((mean - half) * scale, abs=tolerance)
    assert high == pytest.approx((mean + half) * scale, abs=tolerance)
    assert low < high


def test_every_answer_has_words() -> None:
    assert set(ANSWERS) == set(get_args(Answer))


def table(figures: dict[Any, Any], seeds: int, factors: dict[str, tuple[str, ...]] | None = None) -> list[str]:
    return words_of(ablation_table(a_result(a_plan(factors or FACTOR, seeds), figures)), width=240)


def gains(*gains: float, base: float = 0.2) -> dict[Any, float]:
    """Figures of a mean and of an attention that is better by a gain under each seed."""
    figures = {(("mean",), seed): base + 0.01 * seed for seed in range(len(gains))}
    return figures | {(("attention",), seed): base + 0.01 * seed + gain for seed, gain in enumerate(gains)}


@pytest.mark.parametrize(
    ("figures", "seeds", "answer"),
    [
        (gains(*[-0.1] * 6), 6, "yes, worse: worse in 6 of 6 seeds, p = 0.031"),
        (gains(*[0.1, -0.1] * 3), 6, "not shown: chance alone gives as much with p = 1"),
        (gains(0.1, 0.1), 2, "too few seeds: every seed agrees, but 2 seeds cannot give p below 0.5; 5 % takes 6"),
        (gains(math.nan, 0.1), 2, "cannot be told: a figure is not finite"),
    ],
)
def test_each_answer_is_told_beside_its_value(figures: dict[Any, float], seeds: int, answer: str) -> None:
    (line,) = (line for line in table(figures, seeds) if line.startswith("attention") and ": " in line)
    assert line.endswith(answer)


def test_without_a_finished_pair_nothing_is_told_and_missing_runs_are_counted() -> None:
    figures = {(("mean",), 0): 0.2, (("attention",), 0): "failed"}
    lines = table(figures, 1)
    assert any("– 1 of 1 runs missing" in line and "no two runs that would be paired" in line for line in lines)
    assert not any(line.startswith("best cell") for line in lines)
    assert any(line.startswith("attention –") and line.endswith("1 failed") for line in lines)


def test_a_best_cell_that_is_the_reference_is_not_tested_against_itself() -> None:
    assert "best cell: mean, the reference" in table(gains(*[-0.1] * 6), 6)


@pytest.mark.parametrize(("seeds", "needs_more"), [(2, True), (6, False)])
def test_more_seeds_are_named_where_they_would_tell(seeds: int, needs_more: bool) -> None:
    text = "\n".join(table(gains(*[0.1] * seeds), seeds))
    assert ("--seeds 6 goes on from here" in text) is needs_more
    assert "of twenty effects" not in text  # there is one


def test_cells_of_two_factors_are_told_apart_and_many_effects_are_warned_of() -> None:
    factors = {"aggregator.kind": ("mean", "last"), "optimizer.lr": ("0.1", "0.2", "0.3")}
    plan = a_plan(factors, 1)
    figures = {(run.cell.values, run.seed): 0.1 * run.cell.number for run in plan.runs}
    lines = table(figures, 1, factors)
    assert lines[0] == "mine: aggregator.kind × optimizer.lr · 6 cells × 1 seed · runs/ablate-mine"
    assert sum(line.startswith("aggregator.kind=") for line in lines) == 6
    assert any("of twenty effects that do not exist" in line for line in lines)


def test_a_value_that_was_tried_on_other_data_is_not_compared() -> None:
    figures = gains(0.1, 0.1)
    result = a_result(a_plan(FACTOR, 2), figures, {("attention",): "elsewhere"})
    text = "\n".join(words_of(ablation_table(result), width=240))
    assert "its runs saw other data: figures on validation cannot be compared" in text
    assert "best cell" not in text


def test_a_metric_without_direction_is_said_to_have_none() -> None:
    result = a_result(a_plan(FACTOR, 1), gains(0.1))
    result = attrs.evolve(result, metric=attrs.evolve(result.metric, better="neither"))
    assert any("neither way is better" in line for line in words_of(ablation_table(result)))


@pytest.mark.parametrize(("name", "word"), [("val.retrieval.mrr", "validation"), ("mine.spread", "row")])
def test_it_says_where_the_figures_come_from(name: str, word: str) -> None:
    result = a_result(a_plan(FACTOR, 1), gains(0.1))
    result = attrs.evolve(result, metric=attrs.evolve(result.metric, name=name))
    lines = words_of(ablation_table(result))
    assert f"{name} (higher is better): the last {word} of each finished run" in lines
    assert any(line.startswith(f"cell mean [95 %] best {word}") for line in lines)
    assert ablation_to_json(result)["metric"]["counts"] == f"last {word}"
