from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.run_directory.recorded_recipe import recorded_judge, recorded_metrics, recorded_watch
from jepa_core.watch.rules import JUDGED, Abort, Baseline, Criterion, EarlyStop
from tests.run_directory.runs import RECIPE


def test_rules_read_as_the_recipe_reader_reads_them() -> None:
    recorded = recorded_watch(tomllib.loads(RECIPE.format(name="mine")))
    assert recorded.problems == ()
    assert recorded.watch.baseline == Baseline(recipe="gentle")
    assert recorded.watch.must == (Criterion(id="codebook-in-use", when="vq.usage > 0.10", hold="always"),)
    abort = Abort(id="collapse", when="vq.usage < 0.05", evaluations=2, advice="Refresh less often.")
    assert recorded.watch.abort == (abort,)


def test_declarations_are_the_engines_the_losses_and_the_recorded_ones() -> None:
    metrics = {metric.name: metric for metric in recorded_metrics(tomllib.loads(RECIPE.format(name="mine")))}
    assert metrics["mine.figure"].unit == "%"
    assert {"vq.usage", "loss.info_nce.raw"} <= set(metrics)


@pytest.mark.parametrize(
    ("recipe", "judged"),
    [
        ({"watch": {"judge": ["mine.figure", "vq.usage"]}}, ("mine.figure", "vq.usage")),
        ({"watch": {"judge": ["mine.figure", 3]}}, ("mine.figure",)),
        ({"watch": {"judge": "mine.figure"}}, JUDGED),
        ({"watch": {"must": []}}, JUDGED),
        ({"watch": 3}, JUDGED),
        ({}, JUDGED),
    ],
)
def test_what_a_run_is_judged_by_is_as_recorded_and_the_usual_where_it_is_not(
    recipe: dict[str, Any], judged: tuple[str, ...]
) -> None:
    assert recorded_judge(recipe) == recorded_watch(recipe).watch.judge == judged


@pytest.mark.parametrize(
    ("metric", "is_known"),
    [("mine.figure", True), ("val.loss.info_nce.raw", True), ("grad.norm", False), ("of.nobody", False)],
)
def test_a_stop_on_what_has_no_recorded_direction_is_left_out_and_said(metric: str, is_known: bool) -> None:
    recipe = tomllib.loads(RECIPE.format(name="mine"))
    recipe["watch"]["early_stop"] = {"metric": metric, "patience": 3}
    recorded = recorded_watch(recipe)
    assert recorded.watch.early_stop == (EarlyStop(metric=metric, patience=3) if is_known else None)
    told = () if is_known else (f"early_stop: the recipe does not say which way {metric} is better",)
    assert recorded.problems == told


@pytest.mark.parametrize(
    "entry",
    [
        3,
        "text",
        [],
        {},
        {"id": "a"},
        {"id": "a", "when": "open('x') > 1"},
        {"id": "a", "when": "a > 1", "hold": "maybe"},
    ],
)
def test_a_rule_that_cannot_be_read_is_left_out_and_said(entry: Any) -> None:
    good = {"id": "good", "when": "a > 1"}
    recorded = recorded_watch({"watch": {"must": [entry, good]}})
    assert [rule.id for rule in recorded.watch.must] == ["good"]
    assert len(recorded.problems) == 1


plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
keys = st.sampled_from(
    ["watch", "metrics", "losses", "must", "nice", "abort", "rollback", "baseline", "judge", "early_stop", "id", "when"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(keys, st.one_of(plain, st.dictionaries(keys, st.one_of(plain, st.lists(plain, max_size=2))))))
def test_no_recording_breaks_the_reader(recipe: dict[str, Any]) -> None:
    recorded_watch(recipe)
    assert recorded_metrics(recipe)
