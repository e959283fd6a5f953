from __future__ import annotations

import attrs
import pytest

from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.events import Event
from jepa_core.watch.findings import Firing
from jepa_monitor.alerts import HISTORY_LENGTH, AlertBook, Moment, event_key, raised_by
from tests.monitor.panels.views import EVENTS, FIRING_B, NOON, a_view

KEY_B = "rollback B@640"
NON_FINITE = Event(sequence=9, time=NOON + 70, step=700, severity="critical", name="non-finite", message="loss is nan")


def at(seconds: float) -> Moment:
    return Moment(wall=NOON + seconds, monotonic=1000 + seconds)


def quiet_then_firing() -> AlertBook:
    """Of a run in which B fires while it is watched."""
    return AlertBook().observe(a_view(firings=()), at(0)).observe(a_view(), at(1))


def test_a_firing_and_the_event_that_tells_of_it_are_one_alert_with_the_events_time() -> None:
    (alert,) = raised_by(a_view())
    assert (alert.key, alert.subject, alert.severity, alert.step) == (KEY_B, "rollback B", "warning", 640)
    assert alert.time == NOON + 64
    assert alert.advice == "Raise the weights back."


def test_an_abort_that_is_both_firing_and_critical_event_is_one_alert() -> None:
    abort = attrs.evolve(FIRING_B, kind="abort", name="collapse", severity="critical")
    event = Event(sequence=4, time=NOON, step=640, severity="critical", name="abort collapse", message="other words")
    (alert,) = raised_by(a_view(firings=(abort,), events=(event,)))
    assert alert.message == FIRING_B.message
    assert event_key(event) == alert.key


def test_non_finite_and_critical_events_raise_alerts_and_others_do_not() -> None:
    failed = Event(sequence=10, time=NOON, severity="critical", name="write failed", message="disk full")
    warned = Event(sequence=11, time=NOON, severity="warning", name="checkpoint failed")
    skipped = Event(sequence=12, time=NOON, step=3, severity="warning", name="non-finite", message="step skipped")
    alerts = raised_by(a_view(firings=(), events=(NON_FINITE, failed, warned, skipped)))
    assert [alert.subject for alert in alerts] == ["non-finite", "non-finite", "write failed"]
    assert [alert.step for alert in alerts] == [3, 700, None]


def test_a_finding_that_only_informs_raises_nothing() -> None:
    assert raised_by(a_view(firings=(attrs.evolve(FIRING_B, severity="info", kind="nice"),), events=())) == ()


@pytest.mark.parametrize(("state", "severity"), [("crashed", "critical"), ("stale", "warning")])
def test_a_process_that_is_gone_or_silent_is_an_alert(state: str, severity: str) -> None:
    (alert,) = raised_by(a_view(state=state, firings=(), events=()))
    assert (alert.subject, alert.severity) == (state, severity)
    assert "jepa autopsy /nowhere/mine-20261122-214501 says" in alert.advice
    assert "RECIPE" not in alert.advice


def test_what_a_run_had_when_it_was_opened_does_not_ring_and_what_comes_later_does() -> None:
    opened = AlertBook().observe(a_view(), at(0))
    assert [alert.key for alert in opened.active(at(0))] == [KEY_B]
    assert opened.untold(at(0)) == ()
    later = opened.observe(a_view(events=(*EVENTS, NON_FINITE)), at(1))
    assert [alert.subject for alert in later.untold(at(1))] == ["non-finite"]
    assert later.tell(later.untold(at(1))).untold(at(1)) == ()


def test_an_acknowledged_alert_stays_listed_and_never_rings_again() -> None:
    book = quiet_then_firing().acknowledge([KEY_B], at(2)).observe(a_view(), at(9999))
    assert [alert.key for alert in book.alerts] == [KEY_B]
    assert book.state_of(book.alerts[0], at(9999)) == "acknowledged"
    assert book.active(at(9999)) == ()
    assert book.untold(at(9999)) == ()


def test_a_snooze_silences_for_its_minutes_and_then_rings_again() -> None:
    book = quiet_then_firing()
    book = book.tell(book.untold(at(1))).snooze(KEY_B, 10, at(2))
    (alert,) = book.alerts
    assert book.state_of(alert, at(2)) == "snoozed"
    assert book.seconds_left(alert, at(62)) == 540
    assert book.untold(at(601)) == ()
    assert [each.key for each in book.untold(at(603))] == [KEY_B]


def test_a_snooze_holds_for_later_alerts_of_the_same_rule_and_for_no_other() -> None:
    again = attrs.evolve(FIRING_B, step=900.0)
    other = attrs.evolve(FIRING_B, name="A", step=901.0)
    book = quiet_then_firing().snooze(KEY_B, 10, at(2)).observe(a_view(firings=(FIRING_B, again, other)), at(60))
    assert [alert.subject for alert in book.active(at(60))] == ["rollback A"]


def test_a_snooze_is_measured_by_the_clock_that_is_never_set_back() -> None:
    book = quiet_then_firing().snooze(KEY_B, 10, at(0))
    assert book.state_of(book.alerts[0], Moment(wall=0, monotonic=1000 + 599)) == "snoozed"
    assert book.state_of(book.alerts[0], Moment(wall=0, monotonic=1000 + 601)) == "new"


def test_the_history_tells_what_was_raised_and_done_in_order_each_once() -> None:
    book = quiet_then_firing().observe(a_view(), at(2)).snooze(KEY_B, 10, at(3)).acknowledge([KEY_B], at(4))
    book = book.acknowledge([KEY_B], at(5))
    assert [(entry.action, entry.detail) for entry in book.history] == [
        ("raised", ""),
        ("snoozed", "for 10 minutes"),
        ("acknowledged", ""),
    ]


def test_the_history_is_bounded() -> None:
    firings = tuple(attrs.evolve(FIRING_B, step=float(step)) for step in range(HISTORY_LENGTH + 100))
    book = AlertBook().observe(a_view(firings=firings, events=()), at(0))
    assert len(book.history) == HISTORY_LENGTH
    assert len(book.alerts) == HISTORY_LENGTH + 100
    assert book.observe(a_view(firings=firings, events=()), at(1)).history == book.history


def test_when_a_replay_goes_back_what_has_not_happened_yet_is_no_alert() -> None:
    book = quiet_then_firing().observe(a_view(firings=(), events=()), at(2))
    assert book.alerts == ()


def test_an_unknown_alert_cannot_be_snoozed_or_acknowledged() -> None:
    book = quiet_then_firing()
    assert book.snooze("nothing", 10, at(2)) == book
    assert book.acknowledge(["nothing"], at(2)) == book


def test_now_is_read_from_the_clock_that_is_given() -> None:
    assert Moment.read(Clock(now=lambda: 5.0, monotonic=lambda: 7.0)) == Moment(wall=5.0, monotonic=7.0)


def test_alerts_come_in_the_order_of_their_steps() -> None:
    firings: tuple[Firing, ...] = tuple(
        attrs.evolve(FIRING_B, name=name, step=step) for name, step in (("late", 9.0), ("early", 2.0))
    )
    assert [alert.subject for alert in raised_by(a_view(firings=firings, events=()))] == [
        "rollback early",
        "rollback late",
    ]
