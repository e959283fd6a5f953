"""A line for every rule, and `jepa check`'s findings above them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from jepa_core.presentation.replay_table import replay_table
from jepa_core.presentation.rules_table import rules_table
from jepa_core.watch.findings import Firing
from jepa_core.watch.judgement import Extreme, Judgement, Kind
from jepa_core.watch.replay import Replay
from tests.presentation.consoles import printed, words_of

JUDGED = Judgement(
    id="usage",
    kind="must",
    title="codes in use",
    when="vq.usage > 0.1",
    state="holding",
    value=0.141,
    operator=">",
    limit=0.1,
    margin=0.41,
    unit="%",
    evaluations=3,
)
WORST = Extreme(value=0.05, epoch=2.5, margin=-0.5)


def line(at_risk: str = "", **changes: Any) -> str:
    judgement = attrs.evolve(JUDGED, **changes)
    (shown,) = words_of(rules_table([judgement], {(judgement.kind, judgement.id): at_risk}))
    return shown


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "must ✔ codes in use 14.1 % > 10 % +41 %"),
        ({"state": "failed", "epoch": 3.0}, "must ✘ codes in use 14.1 % > 10 % +41 % failed at epoch 3"),
        (
            {"state": "failed", "epoch": 3.0, "worst": WORST},
            "must ✘ codes in use 5.0 % > 10 % −50 % failed at epoch 3",
        ),
        ({"worst": WORST}, "must ✔ codes in use 14.1 % > 10 % +41 %"),
        (
            {"kind": "abort", "state": "fired", "epoch": 3.25},
            "abort ▲ codes in use 14.1 % > 10 % +41 % fired at epoch 3.25",
        ),
        ({"kind": "scenario", "state": "clear", "epoch": 3.0}, "scenario · codes in use 14.1 % > 10 % +41 %"),
        ({"state": "pending", "value": None, "evaluations": 0}, "must ◌ codes in use not enough data +41 %"),
        ({"limit": None, "margin": None}, "must ✔ codes in use vq.usage > 0.1"),
        ({"margin": 0.0, "value": 0.1}, "must ✔ codes in use 10.0 % > 10 %"),
        ({"at_risk": "failing in 3 epochs"}, "must ◔ codes in use 14.1 % > 10 % +41 % failing in 3 epochs"),
    ],
)  # fmt: skip
def test_each_state_has_its_mark_the_decisive_value_and_since_when(changes: dict[str, Any], text: str) -> None:
    assert line(**changes) == text


def firing(kind: Any, name: str, **changes: Any) -> Firing:
    return Firing(
        **{"kind": kind, "name": name, "severity": "critical", "message": "It fell.", "step": 640.0, **changes}
    )


def replayed(firings: tuple[Firing, ...] = (), *judgements: Judgement, epoch: float | None = 3.0) -> list[str]:
    return words_of(replay_table("mine", 1, Replay(firings=firings, judgements=judgements, step=9.0, epoch=epoch)))


def test_where_nothing_was_found_that_is_said() -> None:
    assert replayed() == ["mine 1 row, up to epoch 3", "Nothing was found."]
    assert replayed(epoch=None)[0] == "mine 1 row"
    assert (
        words_of(replay_table("mine", 2, Replay(firings=(), judgements=(), step=None, epoch=None)))[0] == "mine 2 rows"
    )


def test_a_firing_is_told_by_its_rule_with_advice_and_flags_and_an_early_stop_by_its_kind() -> None:
    found = firing("abort", "collapse", advice="Wait.", set={"optimizer": {"lr": 0.1}})
    stop = firing("early stop", "val.retrieval.mrr", severity="info", step=700.0, epoch=14.0)
    assert replayed((found, stop))[1:] == [
        "✘ collapse step 640 It fell.",
        "Wait.",
        "--set optimizer.lr=0.1",
        "· early stop step 700 epoch 14 It fell.",
    ]


def test_a_finding_has_its_rule_where_its_message_has_the_values_alone() -> None:
    when = "rank.context < 2 or std.context < 0.001"
    found = attrs.evolve(
        firing("scenario", "collapse"), message="It collapses: rank.context 1.2", evidence={"when": when}
    )
    assert when in replayed((found,))
    assert when not in replayed((attrs.evolve(found, message=f"It collapses: {when}, value 1.2, limit 2"),))


def test_a_must_that_the_end_decided_is_found_once_with_its_rule() -> None:
    failed = attrs.evolve(JUDGED, state="failed", epoch=3.0)
    words = "▲ usage step 9 epoch 3 codes in use: does not hold, vq.usage > 0.1"
    assert words in replayed((), failed)
    told = replayed((firing("must", "usage"),), failed)
    assert words not in told
    assert "✘ usage step 640 It fell." in told


@pytest.mark.parametrize(
    ("state", "words"), [("clear", "scenarios not seen: usage"), ("pending", "scenarios not enough data: usage")]
)
def test_scenarios_that_did_not_fire_are_named_and_have_no_line(state: Any, words: str) -> None:
    kind: Kind = "scenario"
    assert replayed((), attrs.evolve(JUDGED, kind=kind, state=state))[2:] == [words]


def test_scenarios_that_need_more_steps_than_the_run_has_are_told_apart() -> None:
    kind: Kind = "scenario"
    seen = attrs.evolve(JUDGED, kind=kind, state="clear")
    short = [
        attrs.evolve(seen, id=name, state="pending", evaluations=0, steps=32, steps_needed=needed)
        for name, needed in (("rank_collapse", 200), ("rank_stuck", 200), ("odd", 500))
    ]
    assert replayed((), seen, *short)[2:] == [
        "scenarios not judged: the run has 32 steps, and they need 200: rank_collapse, rank_stuck",
        "scenarios not judged: the run has 32 steps, and it needs 500: odd",
        "scenarios not seen: usage",
    ]


def test_a_rule_that_needs_more_steps_says_how_many() -> None:
    rule = attrs.evolve(JUDGED, kind="abort", state="pending", evaluations=0, limit=None, margin=None, steps=32)
    assert "needs 200 steps" in printed(rules_table([attrs.evolve(rule, steps_needed=200)]))[0]
    assert "not enough data" in printed(rules_table([rule]))[0]


def test_on_a_narrow_screen_words_stand_below_a_title_that_is_whole() -> None:
    rules = [
        JUDGED,
        attrs.evolve(
            JUDGED, title="nothing that is not finite", when="finite(loss.total) and 1", limit=None, margin=None
        ),
        attrs.evolve(JUDGED, kind="abort", state="fired", epoch=3.0),
    ]
    assert printed(rules_table(rules), width=60) == [
        "must   ✔ codes in use                14.1 %  > 10 %  +41 %",
        "must   ✔ nothing that is not finite",
        "         finite(loss.total) and 1",
        "abort  ▲ codes in use                14.1 %  > 10 %  +41 %",
        "         fired at epoch 3",
    ]
