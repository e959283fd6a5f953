from __future__ import annotations

from jepa_monitor.board.trouble import CALM_SECONDS, NO_TROUBLE, CalmOrder, Trouble, trouble_by_name, trouble_of
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


def test_charts_stay_where_they_are_until_something_comes_at_risk_or_time_has_passed() -> None:
    order = CalmOrder()
    fine, narrow, failed = Trouble(2, 3), Trouble(2, 0), Trouble(0, 0)
    assert order.arrange("abc", {"a": fine, "b": fine, "c": fine}, 0.0) == ("a", "b", "c")
    assert order.arrange("abc", {"a": fine, "b": narrow, "c": fine}, 1.0) == ("a", "b", "c")
    assert order.arrange("abc", {"a": fine, "b": narrow, "c": failed}, 2.0) == ("c", "b", "a")
    assert order.arrange("abc", {"a": narrow, "b": fine, "c": failed}, 3.0) == ("c", "b", "a")
    assert order.arrange("abc", {"a": narrow, "b": fine, "c": failed}, 3.0 + CALM_SECONDS) == ("c", "a", "b")


def test_a_new_chart_is_arranged_at_once() -> None:
    order = CalmOrder()
    order.arrange("a", {"a": NO_TROUBLE}, 0.0)
    assert order.arrange("ab", {"a": NO_TROUBLE, "b": NO_TROUBLE}, 1.0) == ("a", "b")
