from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from jepa_core.comparison.alignment import align, evenly_chosen
from jepa_core.comparison.comparing import compare_runs
from jepa_core.comparison.parting import find_parting
from jepa_core.comparison.seed_groups import group_by_recipe
from jepa_core.errors import RecipeError
from jepa_core.metrics import Better, Metric
from tests.comparison.recorded import recorded

MRR = "val.retrieval.mrr"


def test_only_steps_that_every_run_recorded_are_aligned() -> None:
    found = align("a", [recorded("x", {"a": {1: 1.0, 2: 2.0, 4: 4.0}}), recorded("y", {"a": {2: 5.0, 3: 6.0, 4: 7.0}})])
    assert (found.steps.tolist(), found.values.tolist()) == ([2, 4], [[2.0, 4.0], [5.0, 7.0]])


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


def test_metrics_asked_for_replace_the_judged_ones_each_once_in_the_order_of_asking() -> None:
    runs = [recorded(name, {MRR: {1: 0.5}, "b": {1: 1.0}, "a": {1: 1.0}}) for name in ("x", "y")]
    found = compare_runs(runs, ["b", "a", "b"])
    assert [metric.name for metric in found.judged] == [metric.name for metric in found.metrics] == ["b", "a"]


@pytest.mark.parametrize(
    ("names", "judged"),
    [
        (("loss.total", MRR, "val.loss.info_nce.raw"), [MRR, "val.loss.info_nce.raw"]),
        (("loss.total", "val.loss.info_nce.raw"), ["val.loss.info_nce.raw"]),
        (("loss.total", "lr"), ["loss.total"]),
        (("lr",), []),
    ],
)
def test_the_total_loss_judges_only_where_nothing_better_was_recorded(
    names: tuple[str, ...], judged: list[str]
) -> None:
    runs = [recorded(run, {name: {1: 0.5} for name in names}) for run in ("x", "y")]
    assert [metric.name for metric in compare_runs(runs).judged] == judged


def test_costs_are_not_among_the_metrics_and_validation_comes_first() -> None:
    declared = {
        name: Metric(name, "", "higher") for name in ("rank.context", "val.rank.context", "throughput.x", MRR, "lr")
    }
    declared["lr"] = Metric("lr", "")
    runs = [attrs.evolve(recorded(run, {name: {1: 0.5} for name in declared}), declared=declared) for run in ("x", "y")]
    assert [metric.name for metric in compare_runs(runs).metrics] == [MRR, "val.rank.context", "rank.context"]


def test_runs_of_one_name_go_by_their_paths() -> None:
    runs = [attrs.evolve(recorded("same", {MRR: {1: 0.5}}), path=path) for path in ("runs/same", "old/same")]
    found = compare_runs([*runs, recorded("z", {MRR: {1: 0.4}})])
    assert [run.name for run in found.runs] == ["runs/same", "old/same", "z"]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"recipe": {}}, "the recipe of y cannot be read"),
        ({"series": {}}, "y has recorded no figure"),
        ({"state": "running"}, "y is running: its figures so far count"),
        ({"state": "crashed"}, "y is crashed: its figures so far count"),
        ({"state": "aborted"}, None),
    ],
)
def test_what_keeps_a_run_from_being_taken_at_its_word_is_noted(change: dict[str, Any], note: str | None) -> None:
    runs = [recorded("x", {MRR: {1: 0.5}}), attrs.evolve(recorded("y", {MRR: {1: 0.5}}, x=1), **change)]
    assert compare_runs(runs).notes == (() if note is None else (note,))


def test_a_run_left_out_for_a_later_one_of_its_seed_is_named() -> None:
    runs = [recorded(name, {MRR: {1: 0.5}}, seed=seed) for name, seed in (("a", 0), ("b", 1), ("c", 1))]
    assert compare_runs(runs).notes == ("b is left out of its group's mean: a later run has the same recipe and seed",)


def test_each_run_is_followed_from_the_first_of_its_seed_where_there_is_one() -> None:
    seeds = {"a0": 0, "a1": 1, "b1": 1, "c2": 2}
    runs = [recorded(name, {MRR: {1: 0.1 * seed}}, seed=seed, x=name[0]) for name, seed in seeds.items()]
    pairs = [(parting.left, parting.right) for parting in compare_runs(runs).partings]
    assert pairs == [("a0", "a1"), ("a1", "b1"), ("a0", "c2")]


@pytest.mark.parametrize(
    ("data", "same"),
    [(("d", "d", "d"), True), (("d", "", "d"), None), (("d", "", "e"), False), (("d", "e", "d"), False)],
)
def test_one_run_on_other_data_is_enough_and_one_that_does_not_say_leaves_it_open(
    data: tuple[str, ...], same: bool | None
) -> None:
    runs = [recorded(f"r{index}", {MRR: {1: 0.5}}, data=one) for index, one in enumerate(data)]
    assert compare_runs(runs).same_data is same


def test_a_copy_of_a_run_differs_in_nothing() -> None:
    series = {MRR: {1: 0.1, 2: math.nan, 3: 0.5}, "loss.total": {1: math.inf, 3: 2.0}}
    runs = [recorded(name, series, aggregator={"kind": "mean"}) for name in ("x", "copy")]
    found = compare_runs(runs, [MRR])
    assert (found.recipe_changes, found.tests, found.same_data) == ((), (), True)
    assert [parting.step for parting in found.partings] == [None]
    assert repr(found.judged[0].values[0]) == repr(found.judged[0].values[1])


def test_the_runs_recipes_say_what_is_judged_and_earlier_runs_are_by_the_usual() -> None:
    figures = {"mine.spread": {1: 0.5}, "loss.total": {1: 2.0}, MRR: {1: 0.5}}
    mine = recorded("a", dict(figures), watch={"judge": ["mine.spread", "mine.unheard_of"]})
    other = recorded("b", dict(figures), seed=1, watch={"judge": ["loss.total", "mine.spread"]})
    assert [metric.name for metric in compare_runs([mine, other]).judged] == ["mine.spread", "loss.total"]
    assert [metric.name for metric in compare_runs([mine, recorded("c", dict(figures))]).judged] == ["mine.spread", MRR]


@pytest.mark.parametrize(("better", "answer"), [("higher", "better"), ("lower", "worse"), ("neither", "different")])
def test_a_judged_metric_is_tested_in_its_declared_direction(better: Better, answer: str) -> None:
    watch = {"judge": ["mine.spread"]}
    runs = [
        attrs.evolve(
            recorded(f"{x}{seed}", {"mine.spread": {1: seed + x / 10}}, seed=seed, watch=watch, x=x),
            declared={"mine.spread": Metric("mine.spread", "", better)},
        )
        for x in (0, 1)
        for seed in range(6)
    ]
    (test,) = compare_runs(runs).tests
    assert (test.metric, test.test.answer) == ("mine.spread", answer)
