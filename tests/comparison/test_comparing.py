from __future__ import annotations

import math

import pytest

from jepa_core.comparison.alignment import align, evenly_chosen
from jepa_core.comparison.comparing import compare_runs
from jepa_core.comparison.parting import find_parting
from jepa_core.comparison.seed_groups import group_by_recipe
from jepa_core.errors import RecipeError
from tests.comparison.recorded import recorded

MRR = "val.retrieval.mrr"


def test_only_steps_that_every_run_recorded_are_aligned() -> None:
    found = align("a", [recorded("x", {"a": {1: 1.0, 2: 2.0, 4: 4.0}}), recorded("y", {"a": {2: 5.0, 3: 6.0, 4: 7.0}})])
    assert (found.steps, found.values) == ((2, 4), ((2.0, 4.0), (5.0, 7.0)))


def test_chosen_positions_hold_first_and_last() -> None:
    assert evenly_chosen(3, 8) == (0, 1, 2)
    assert evenly_chosen(101, 3) == (0, 50, 100)


def test_runs_part_at_the_first_step_whose_figures_differ_and_clocks_do_not_count() -> None:
    left = recorded("x", {"time.step": {1: 0.1}, "a": {1: 1.0, 3: math.nan, 5: 2.0}, "b": {1: 1.0, 5: 1.0}})
    right = recorded("y", {"time.step": {1: 0.2}, "a": {1: 1.0, 3: math.nan, 5: 3.0}, "b": {1: 1.0, 5: 4.0}})
    found = find_parting(left, right)
    assert (found.step, [metric.name for metric in found.metrics], found.shared_steps) == (5, ["a", "b"], 3)


def test_equal_runs_never_part() -> None:
    found = find_parting(recorded("x", {"a": {1: 1.0, 2: 2.0}}), recorded("y", {"a": {1: 1.0}}))
    assert (found.step, found.last_shared_step) == (None, 1)


def test_runs_that_differ_by_seed_and_baseline_are_one_group_with_one_run_per_seed() -> None:
    runs = [
        recorded("a", seed=0, watch={"baseline": {"run": "p"}}),
        recorded("b", seed=1, watch={"baseline": {"run": "q"}}),
        recorded("c", seed=1),
        recorded("d", seed=0, aggregator={"kind": "mean"}),
        recorded("e", seed=0, data="other"),
    ]
    found = group_by_recipe(runs)
    assert [[run.name for run in group.runs] for group in found.groups] == [["a", "c"], ["d"], ["e"]]
    assert found.repeats == ("b",)


def test_a_gain_in_six_seeds_is_real_and_other_data_is_not_tested() -> None:
    mean = [recorded(f"m{seed}", {MRR: {1: 0.1 * seed}}, seed=seed) for seed in range(6)]
    gain = [recorded(f"g{seed}", {MRR: {1: 0.1 * seed + 0.01}}, seed=seed, predictor={}, x=1) for seed in range(6)]
    (test,) = compare_runs([*mean, *gain]).tests
    assert (test.test.answer, test.test.p) == ("better", 2 / 64)
    elsewhere = [recorded(f"o{seed}", {MRR: {1: 0.5}}, seed=seed, data="other") for seed in range(2)]
    found = compare_runs([*mean, *elsewhere])
    assert (found.tests, found.same_data) == ((), False)


def test_what_cannot_be_compared_is_refused() -> None:
    one = recorded("x", {MRR: {1: 0.5}})
    with pytest.raises(RecipeError, match="two runs"):
        compare_runs([one])
    with pytest.raises(RecipeError, match="2 times"):
        compare_runs([one, one])
    with pytest.raises(RecipeError, match=f'Did you mean "{MRR}"'):
        compare_runs([one, recorded("y")], ["val.retrieval.mr"])


def test_a_run_with_another_number_of_candidates_is_on_other_data_and_parts_from_none_there() -> None:
    candidates = "val.retrieval.candidates"
    runs = [recorded(name, {MRR: {1: 0.5}, candidates: {1: size}}) for name, size in (("a", 200.0), ("b", 150.0))]
    found = compare_runs([*runs, recorded("of an earlier version", {MRR: {1: 0.4}}, x=1)])
    assert found.same_data is False
    assert [(parting.left, parting.right) for parting in found.partings] == [("a", "of an earlier version")]
