"""The first sign of what fires: where a rollback has to go back before."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from jepa_core.watch.judge import Judge
from jepa_core.watch.rules import Rollback, Watch


def first_signs(*rules: Rollback, values: list[float]) -> dict[str, float | None]:
    """Rule → first sign, of those that fire on `vq.usage` at steps 10, 20, …"""
    judge = Judge(Watch(rollback=rules))
    rows = [{"step": 10 * i, "epoch": float(i), "vq.usage": value} for i, value in enumerate(values, 1)]
    return {firing.name: firing.first_sign for row in rows for firing in judge.observe(row)}


def test_it_is_where_the_condition_began_to_hold_and_not_where_it_fired() -> None:
    rule = Rollback(id="low", when="vq.usage < 0.1", evaluations=3)
    assert first_signs(rule, values=[0.3, 0.2, 0.09, 0.08, 0.07]) == {"low": 30}


def test_a_break_in_between_begins_it_anew() -> None:
    rule = Rollback(id="low", when="vq.usage < 0.1", evaluations=2)
    assert first_signs(rule, values=[0.3, 0.05, 0.2, 0.09, 0.08]) == {"low": 40}


def test_it_may_lie_before_the_epochs_in_which_the_rule_is_judged() -> None:
    rule = Rollback(id="low", when="vq.usage < 0.1", after_epoch=4)
    assert first_signs(rule, values=[0.3, 0.05, 0.05, 0.05, 0.05]) == {"low": 20}
    rule = Rollback(id="low", when="vq.usage < 0.1", at_epoch=4)
    judge = Judge(Watch(rollback=(rule,)))
    rows = [{"step": 10 * i, "epoch": float(i), "val.retrieval.mrr": 0.1, "vq.usage": 0.3 - 0.09 * i} for i in range(5)]
    assert [firing.first_sign for row in rows for firing in judge.observe(row)] == [30]


def test_a_window_belongs_to_it_whole() -> None:
    rule = Rollback(id="low", when="mean(vq.usage, 3) < 0.1")
    assert first_signs(rule, values=[0.3, 0.25, 0.05, 0.05, 0.05]) == {"low": 30}


def test_a_rule_on_others_goes_back_to_the_earliest_of_them() -> None:
    rules = (
        Rollback(id="a", when="vq.usage < 0.2"),
        Rollback(id="b", when="vq.usage < 0.1"),
        Rollback(id="c", when="fired('a') and fired('b')", use="gentle_vq"),
    )
    assert first_signs(*rules, values=[0.3, 0.15, 0.05]) == {"a": 20, "b": 30, "c": 20}


def test_a_checkpoint_is_wanted_from_the_first_sign_on_and_no_longer_when_it_passes() -> None:
    judge = Judge(Watch(rollback=(Rollback(id="low", when="vq.usage < 0.1", evaluations=3),)))
    wanted = []
    for step, value in enumerate([0.3, 0.05, 0.05, 0.3, 0.05], 1):
        judge.observe({"step": step, "epoch": 1.0, "vq.usage": value})
        wanted.append(judge.healthy_before)
    assert wanted == [(), (2,), (2,), (), (5,)]


@given(st.lists(st.sampled_from([0.05, 0.3, math.nan]), max_size=12), st.integers(1, 4))
def test_it_is_the_start_of_the_streak_that_fires(values: list[float], evaluations: int) -> None:
    rule = Rollback(id="low", when="vq.usage < 0.1", evaluations=evaluations)
    streaks = [
        start
        for start in range(len(values))
        if all(value < 0.1 for value in values[start : start + evaluations])
        and len(values[start : start + evaluations]) == evaluations
    ]
    expected = {"low": 10.0 * (streaks[0] + 1)} if streaks else {}
    assert first_signs(rule, values=values) == expected
