"""Recorded rows before the judge again."""

from __future__ import annotations

import math

import orjson

from jepa_core.watch.judge import Judge
from jepa_core.watch.replay import Replay, replay, replay_to_json
from jepa_core.watch.rules import Abort, Criterion, Scenario, Watch

ROWS = [{"step": 10.0 * i, "epoch": float(i), "loss.total": value} for i, value in enumerate((3.0, 2.0, math.nan), 1)]
MUST = Criterion(id="m", when="loss.total < 1")
LOW = Scenario(id="s", when="loss.total < 2.5", advice="Look.", set={"optimizer": {"lr": 0.1}})


def replayed(*, finished: bool = True, **lists: tuple[Abort | Criterion | Scenario, ...]) -> Replay:
    return replay(ROWS, Judge(Watch(**lists)), finished=finished)  # type: ignore[arg-type]  # each of its list's kind


def test_a_scenario_is_told_with_its_moment_advice_and_remedy() -> None:
    found = replayed(scenario=(LOW,))
    (firing,) = found.firings
    assert (firing.kind, firing.name, firing.severity) == ("scenario", "s", "warning")
    assert (firing.step, firing.epoch) == (20, 2)
    assert (firing.advice, firing.set) == ("Look.", {"optimizer": {"lr": 0.1}})
    assert found.exit_code == 0


def test_a_must_that_only_the_end_decides_is_a_finding_of_the_end() -> None:
    found = replayed(must=(MUST,))
    assert [(finding.name, finding.step) for finding in found.findings] == [("m", 30)]
    assert found.exit_code == 4
    open_still = replayed(must=(MUST,), finished=False)
    assert (open_still.findings, open_still.exit_code) == ((), 0)


def test_a_must_that_failed_on_its_way_is_told_once() -> None:
    always = Criterion(id="m", when="loss.total < 2.5", hold="always")
    assert [finding.name for finding in replayed(must=(always,)).findings] == ["m"]


def test_an_abort_and_a_critical_scenario_weigh_more_than_a_must() -> None:
    abort = Abort(id="a", when="not finite(loss.total)")
    assert replayed(must=(MUST,), abort=(abort,)).exit_code == 3
    critical = Scenario(id="s", when="not finite(loss.total)", severity="critical")
    assert replayed(must=(MUST,), scenario=(critical,)).exit_code == 3


def test_a_must_without_data_is_pending_and_a_finding_only_of_the_end() -> None:
    """As in a verdict: what was not judged by the end has not held."""
    must = Criterion(id="m", when="vq.usage > 0.1")
    found = replayed(must=(must,))
    assert [judgement.state for judgement in found.judgements] == ["pending"]
    ((name, message),) = [(finding.name, finding.message) for finding in found.findings]
    assert (name, found.exit_code) == ("m", 4)
    assert "could not be judged, the rows lack what it asks for: vq.usage > 0.1" in message
    open_still = replayed(must=(must,), finished=False)
    assert (open_still.findings, open_still.exit_code) == ((), 0)


def test_other_rules_without_data_are_no_findings() -> None:
    scenario = Scenario(id="s", when="vq.usage < 0.1", severity="critical")
    found = replayed(nice=(Criterion(id="n", when="vq.usage > 0.1"),), scenario=(scenario,))
    assert [judgement.state for judgement in found.judgements] == ["pending", "pending"]
    assert (found.findings, found.exit_code) == ((), 0)


def test_a_rule_may_ask_whether_a_scenario_has_fired() -> None:
    follower = Abort(id="a", when="fired('s')")
    assert [firing.name for firing in replayed(abort=(follower,), scenario=(LOW,)).firings] == ["s", "a"]


def test_json_has_findings_and_rules_with_non_finite_figures_as_text() -> None:
    plain = orjson.loads(orjson.dumps(replay_to_json(replayed(must=(MUST,), scenario=(LOW,)))))
    assert [finding["name"] for finding in plain["findings"]] == ["s", "m"]
    assert plain["findings"][1]["evidence"]["value"] == "nan"
    assert [rule["kind"] for rule in plain["rules"]] == ["must", "scenario"]
    assert plain["exit_code"] == 4
