from __future__ import annotations

from jepa_monitor.board.trouble import NO_TROUBLE, KeptOrder, Trouble, trouble_by_name, trouble_of
from tests.monitor.views import outlook


def test_failed_and_fired_come_before_at_risk_and_those_before_narrow_margins() -> None:
    troubles = trouble_by_name(
        [
            outlook("must", "failed", "a"),
            outlook("rollback", "fired", "b"),
            outlook("must", "at risk", "c", 0.01),
            outlook("must", "passing", "d", 0.1),
            outlook("abort", "passing", "e", 3.0),
            outlook("must", "pending", "f"),
            outlook("nice", "failed", "g"),
        ]
    )
    assert sorted(troubles, key=lambda name: troubles[name])[:2] == ["a", "b"]
    assert troubles["a"] == troubles["b"] < troubles["g"] < troubles["c"] < troubles["d"] < troubles["e"] == NO_TROUBLE
    assert [troubles[name].tone for name in "acd"] == ["bad", "warning", None]


def test_a_rule_over_several_metrics_troubles_all_of_them_once_it_is_true() -> None:
    when = "loss.total > 3 and rank.context < 2"
    assert trouble_by_name([outlook("rollback", "fired", when=when)]).keys() == {"loss.total", "rank.context"}
    assert not trouble_by_name([outlook("rollback", "passing", when=when)])


def test_a_chart_is_as_near_to_trouble_as_its_nearest_metric() -> None:
    assert trouble_of(["a", "b"], {"b": Trouble(0, 0)}) == Trouble(0, 0)
    assert trouble_of([], {}) == NO_TROUBLE


def test_charts_stay_where_they_are_until_they_are_sorted_again() -> None:
    order = KeptOrder()
    fine, failed = Trouble(2, 3), Trouble(0, 0)
    assert order.arrange("abc", {"a": fine, "b": failed, "c": fine}) == ("b", "a", "c")
    assert order.arrange("abc", {"a": fine, "b": fine, "c": failed}) == ("b", "a", "c")
    order.sort_again()
    assert order.arrange("abc", {"a": fine, "b": fine, "c": failed}) == ("c", "a", "b")


def test_until_the_rules_have_judged_the_run_its_charts_are_not_settled() -> None:
    order = KeptOrder()
    fine, failed = Trouble(2, 3), Trouble(0, 0)
    assert order.arrange("ab", {"a": fine, "b": fine}, is_settled=False) == ("a", "b")
    assert order.arrange("ab", {"a": fine, "b": failed}) == ("b", "a")
    assert order.arrange("ab", {"a": failed, "b": fine}) == ("b", "a")


def test_a_new_chart_takes_its_place_but_moves_none_that_is_looked_at() -> None:
    order = KeptOrder()
    order.arrange("bd", dict.fromkeys("bd", NO_TROUBLE))
    assert order.arrange("abcd", dict.fromkeys("abcd", NO_TROUBLE)) == tuple("abcd")
    assert order.arrange("abcde", dict.fromkeys("abcde", NO_TROUBLE), is_held=True) == tuple("abcde")
    assert order.arrange("zabcde", dict.fromkeys("zabcde", NO_TROUBLE), is_held=True) == tuple("abcdez")


def test_a_chart_that_is_gone_leaves_no_hole_and_comes_back_where_it_was() -> None:
    order = KeptOrder()
    order.arrange("abc", dict.fromkeys("abc", NO_TROUBLE))
    assert order.arrange("ac", dict.fromkeys("ac", NO_TROUBLE)) == ("a", "c")
    assert order.arrange("abc", dict.fromkeys("abc", NO_TROUBLE)) == ("a", "b", "c")
