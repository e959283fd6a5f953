from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import orjson
import pytest

from jepa_core.metrics import ENGINE_METRICS
from jepa_core.watch.judge import Judge
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.rules import Abort, Criterion, EarlyStop, Rollback, Scenario, Watch

INCIDENTS = Path(__file__).parents[1] / "incidents"


def judged(criterion: Criterion, *rows: dict[str, Any], finished: bool = True) -> Judgement:
    judge = Judge(Watch(must=(criterion,)), ENGINE_METRICS)
    for row in rows:
        judge.observe(row)
    (judgement,) = judge.conclude(finished=finished)
    return judgement


def use(*values: float) -> list[dict[str, Any]]:
    return [{"step": 10 * i, "epoch": float(i), "vq.usage": value} for i, value in enumerate(values, start=1)]


def fired_at(alarm: Abort | Rollback, *rows: dict[str, Any]) -> list[float]:
    """Epochs at which the alarm fires."""
    is_abort = isinstance(alarm, Abort)
    judge = Judge(Watch(abort=(alarm,)) if is_abort else Watch(rollback=(alarm,)))  # type: ignore[arg-type]  # one of two
    return [firing.epoch or math.nan for row in rows for firing in judge.observe(row)]


def test_always_fails_with_the_first_false_evaluation_and_keeps_the_worst() -> None:
    criterion = Criterion(id="a", when="vq.usage > 0.1", hold="always")
    judgement = judged(criterion, *use(0.3, 0.08, 0.05, 0.2))
    assert judgement.state == "failed"
    assert judgement.epoch == 2
    assert judgement.worst is not None
    assert (judgement.worst.value, judgement.worst.epoch) == (0.05, 3)
    assert judgement.decisive_value == 0.05
    assert judgement.decisive_margin == pytest.approx(-0.5)
    assert judgement.value == 0.2


def test_always_holds_with_the_worst_beside_the_newest_value() -> None:
    judgement = judged(Criterion(id="a", when="vq.usage > 0.1", hold="always"), *use(0.3, 0.15, 0.2))
    assert judgement.state == "holding"
    assert judgement.decisive_value == 0.2
    assert judgement.worst is not None
    assert judgement.worst.epoch == 2


def test_always_on_an_upper_limit_keeps_the_highest_value() -> None:
    judgement = judged(Criterion(id="a", when="vq.usage < 0.5", hold="always"), *use(0.3, 0.4, 0.2))
    assert judgement.worst is not None
    assert judgement.worst.value == 0.4


def test_a_figure_that_is_not_a_number_fails_an_always() -> None:
    assert judged(Criterion(id="a", when="vq.usage > 0.1", hold="always"), *use(0.3, math.nan)).state == "failed"


def test_end_goes_by_the_newest_evaluation() -> None:
    criterion = Criterion(id="a", when="vq.usage > 0.1", hold="end")
    assert judged(criterion, *use(0.05, 0.2)).state == "holding"
    assert judged(criterion, *use(0.2, 0.05)).state == "failed"


def test_end_is_open_while_the_run_goes_on_and_when_it_did_not_finish() -> None:
    judge = Judge(Watch(must=(Criterion(id="a", when="vq.usage > 0.1"),)))
    judge.observe(use(0.05)[0])
    assert judge.judgements()[0].state == "pending"
    assert judge.conclude(finished=False)[0].state == "pending"


def test_once_holds_with_one_true_evaluation() -> None:
    criterion = Criterion(id="a", when="vq.usage > 0.1", hold="once")
    assert judged(criterion, *use(0.05, 0.2, 0.05)).state == "holding"
    assert judged(criterion, *use(0.05, 0.06)).state == "failed"


def test_after_epoch_leaves_out_rows_up_to_it_and_until_epoch_rows_later_than_it() -> None:
    rows = use(0.01, 0.01, 0.3, 0.01)
    criterion = Criterion(id="a", when="vq.usage > 0.1", hold="always", after_epoch=2, until_epoch=3)
    assert judged(criterion, *rows).state == "holding"
    assert judged(criterion, *rows).evaluations == 1


def test_once_fails_when_its_epochs_are_over() -> None:
    judge = Judge(Watch(must=(Criterion(id="a", when="vq.usage > 0.1", hold="once", until_epoch=1),)))
    for row in use(0.05, 0.2):
        judge.observe(row)
    assert judge.judgements()[0].state == "failed"


def test_a_must_without_data_is_pending_and_has_not_held() -> None:
    judgement = judged(Criterion(id="a", when="mean(vq.usage, 5) > 0.1"), *use(0.3))
    assert judgement.state == "pending"
    assert not judgement.held


def test_a_judgement_has_title_unit_and_margin() -> None:
    judgement = judged(Criterion(id="codebook-in-use", when="vq.usage > 0.1"), *use(0.141))
    assert judgement.title == "codebook in use"
    assert judgement.unit == "%"
    assert judgement.margin == pytest.approx(0.41)


def test_a_must_that_fails_for_good_is_told_once_as_a_warning() -> None:
    judge = Judge(Watch(must=(Criterion(id="a", when="vq.usage > 0.1", hold="always"),)))
    firings = [firing for row in use(0.3, 0.05, 0.04) for firing in judge.observe(row)]
    assert [(firing.kind, firing.severity, firing.epoch) for firing in firings] == [("must", "warning", 2.0)]


def test_an_abort_fires_once_with_its_evidence() -> None:
    judge = Judge(Watch(abort=(Abort(id="collapse", when="vq.usage < 0.08", after_epoch=1, advice="Refresh less."),)))
    firings = [firing for row in use(0.05, 0.2, 0.07, 0.06) for firing in judge.observe(row)]
    (firing,) = firings
    assert (firing.name, firing.kind, firing.severity, firing.step) == ("collapse", "abort", "critical", 30)
    assert firing.advice == "Refresh less."
    assert [row["vq.usage"] for row in firing.evidence["rows"]] == [0.05, 0.2, 0.07]
    assert judge.fired == {"collapse"}
    assert judge.judgements()[0].state == "fired"


def test_an_abort_for_several_evaluations_wants_them_in_a_row() -> None:
    alarm = Abort(id="a", when="vq.usage < 0.1", evaluations=2)
    assert fired_at(alarm, *use(0.05, 0.2, 0.05, 0.2)) == []
    assert fired_at(alarm, *use(0.05, 0.2, 0.05, 0.04)) == [4]


def test_at_epoch_judges_the_first_validation_at_or_after_it_and_no_other() -> None:
    alarm = Abort(id="a", when="val.loss.total > 9.0", at_epoch=2)
    early, training, late = (
        {"epoch": 1.0, "val.loss.total": 10.0},
        {"epoch": 2.0, "loss.total": 10.0},
        {"epoch": 2.5, "val.loss.total": 9.5},
    )
    assert fired_at(alarm, early, training, late) == [2.5]
    good = {"epoch": 2.0, "val.loss.total": 8.0}
    assert fired_at(alarm, early, good, late) == []


def test_at_epoch_of_a_training_metric_uses_its_last_value_at_the_validation() -> None:
    alarm = Abort(id="a", when="vq.usage < 0.1", at_epoch=2)
    assert fired_at(alarm, *use(0.05, 0.05), {"epoch": 2.0, "val.loss.total": 1.0}, *use(0.01)) == [2]


def test_a_rollback_carries_what_would_mend_it() -> None:
    scenario = Rollback(
        id="A", title="Attention breaks training", when="vq.usage < 0.1", set={"aggregator": {"kind": "mean"}}
    )
    judge = Judge(Watch(rollback=(scenario,)))
    (firing,) = judge.observe(use(0.01)[0])
    assert firing.set == {"aggregator": {"kind": "mean"}}
    assert firing.message.startswith("Attention breaks training")


def test_a_rule_on_firings_sees_what_the_same_row_set_off_wherever_it_stands() -> None:
    watch = Watch(
        rollback=(
            Rollback(id="C", when="fired('A') and fired('B')", use="gentle_vq"),
            Rollback(id="A", when="vq.usage < 0.1"),
            Rollback(id="B", when="vq.usage < 0.05"),
        )
    )
    judge = Judge(watch)
    assert [firing.name for row in use(0.07, 0.01) for firing in judge.observe(row)] == ["A", "B", "C"]


def test_recorded_text_of_non_finite_numbers_fires_as_it_does_live() -> None:
    alarm = Abort(id="a", when="not finite(loss.total)")
    assert (
        fired_at(alarm, {"epoch": 1, "loss.total": "nan"})
        == fired_at(alarm, {"epoch": 1, "loss.total": math.nan})
        == [1]
    )


def test_rows_replayed_give_the_same_judgement_as_rows_seen_live() -> None:
    watch = Watch(must=(Criterion(id="a", when="mean(vq.usage, 2) > 0.1", hold="always"),))
    live, replayed = Judge(watch), Judge(watch)
    for row in use(0.3, math.inf, 0.05, 0.2):
        live.observe(row)
        recorded = {key: str(value) if math.isinf(value) else value for key, value in row.items()}
        replayed.observe(orjson.loads(orjson.dumps(recorded)))
    assert live.conclude() == replayed.conclude()


SEED_PLAN = Watch(
    must=(
        Criterion(id="codebook-in-use", when="mean(vq.usage, 5) > 0.10", hold="always", after_epoch=1),
        Criterion(id="rank-of-context", when="rank.context > 5"),
        Criterion(id="rank-of-target", when="rank.target > 8"),
        Criterion(id="loss", when="val.loss.total < 8.5"),
    ),
    abort=(
        Abort(id="codebook-collapse", when="vq.usage < 0.08", after_epoch=10),
        Abort(id="loss-at-15", when="val.loss.total > 9.0", at_epoch=15),
        Abort(id="rank-collapse", when="rank.context < 3 or rank.target < 5", after_epoch=10),
    ),
)


def replay(name: str) -> Judge:
    judge = Judge(SEED_PLAN, ENGINE_METRICS)
    for line in (INCIDENTS / f"{name}.jsonl").read_bytes().splitlines():
        judge.observe(orjson.loads(line))
    return judge


@pytest.mark.parametrize("name", ["documented-gentle-healthy", "reference-optimized"])
def test_no_abort_fires_on_a_healthy_recording_and_its_musts_hold(name: str) -> None:
    judge = replay(name)
    assert judge.fired == frozenset()
    assert {judgement.id for judgement in judge.conclude() if judgement.state == "failed"} == set()
    assert all(judgement.held for judgement in judge.conclude() if judgement.kind == "must")


def test_every_abort_fires_on_the_recorded_collapse() -> None:
    judge = replay("documented-refresh-collapse")
    assert judge.fired == {"codebook-collapse", "loss-at-15", "rank-collapse"}


def test_rows_of_ever_other_names_are_judged_as_those_of_few() -> None:
    watch = Watch(
        must=(Criterion(id="early", when="loss.total < 1", hold="once", until_epoch=50),),
        scenario=(Scenario(id="high", when="loss.total > 5"), Scenario(id="once", when="lr > 0", at_epoch=150)),
    )
    judge = Judge(watch)
    rows = [{"step": i, "epoch": float(i), "loss.total": i / 30, f"other.{i}": 1.0, "lr": 1.0} for i in range(1, 200)]
    rows[170] |= {"val.loss.total": 1.0}
    fired = [(firing.name, firing.step) for row in rows for firing in judge.observe(row)]
    assert fired == [("high", 151), ("once", 171)]
    assert judge.judgements()[0].state == "holding"


def test_a_rule_on_rules_without_data_is_not_clear_but_unknown() -> None:
    watch = Watch(
        rollback=(
            Rollback(id="A", when="val.loss.total > 5", set={"train": {"clip_norm": 1}}),
            Rollback(id="B", when="vq.usage < 0.1", set={"train": {"clip_norm": 1}}),
            Rollback(id="both", when="fired('A') and fired('B')", use="gentle_vq"),
            Rollback(id="either", when="fired('A') or fired('B')", use="gentle_vq"),
        )
    )
    judge = Judge(watch)
    judge.observe({"epoch": 1, "loss.total": 1.0})
    assert {judgement.state for judgement in judge.judgements()} == {"pending"}
    judge.observe({"epoch": 1, "vq.usage": 0.3})
    assert {judgement.id: judgement.state for judgement in judge.judgements()} == {
        "A": "pending",
        "B": "clear",
        "both": "clear",
        "either": "pending",
    }


@pytest.mark.parametrize(("steps", "state", "needed"), [(32, "pending", 200), (200, "clear", None)])
def test_a_rule_that_needs_more_steps_than_the_run_has_is_not_judged(
    steps: int, state: str, needed: int | None
) -> None:
    rules = (
        Scenario(id="collapse", when="rank.context < 2 and step >= 200"),
        Scenario(id="after", when="fired('collapse')"),
        Scenario(id="soon", when="rank.context < 2"),
    )
    judge = Judge(Watch(scenario=rules), ENGINE_METRICS)
    for step in (1, steps):
        assert judge.observe({"step": step, "epoch": 1.0, "rank.context": 5.0}) == []
    collapse, after, soon = judge.conclude()
    assert (collapse.state, collapse.steps_needed, collapse.steps) == (state, needed, needed and steps)
    assert (after.state, soon.state) == (state, "clear")


def test_a_rule_without_data_says_the_steps_that_it_needs_too() -> None:
    judge = Judge(Watch(scenario=(Scenario(id="late", when="rank.context < 2 and step >= 200", after_epoch=5),)))
    judge.observe({"step": 32, "epoch": 1.0, "rank.context": 5.0})
    (late,) = judge.conclude()
    assert (late.state, late.steps_needed) == ("pending", 200)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (
            "(rank.context < 2 or rank.context < 0.25 * highest(rank.context, 3) or std.context < 0.001) and step >= 2",
            "rank.context 1.25, highest(rank.context, 3) 7.50, std.context 4e−4",
        ),
        ("std.context < 1 and std.target < 1 or rank.context < 2", "std.context 4e−4, rank.context 1.25"),
        ("rank.context < 2 and step >= 2", "rank.context < 2 and step >= 2, value 1.25, limit 2"),
        ("fired('other')", "fired('other')"),
    ],
)
def test_a_firing_says_the_values_that_its_rule_looks_at(when: str, said: str) -> None:
    rules = (Scenario(id="it", title="It collapses", when=when), Scenario(id="other", when="rank.context < 2"))
    judge = Judge(Watch(scenario=rules), ENGINE_METRICS)
    rows = [{"rank.context": rank, "std.context": 0.5} for rank in (8.0, 7.5, 7.0)]
    for step, figures in enumerate([*rows, {"rank.context": 1.25, "std.context": 0.0004}], 1):
        firings = judge.observe({"step": step, "epoch": 1.0, **figures})
    (firing,) = [firing for firing in firings if firing.name == "it"]
    assert firing.message == f"It collapses: {said}"
    assert firing.evidence["when"] == when


def losses(*values: float, anew: int | None = None) -> list[dict[str, Any]]:
    """Rows of a loss; that of index `anew` says that tensors start anew."""
    rows = [{"step": 10 * i, "epoch": float(i), "loss.total": value} for i, value in enumerate(values, start=1)]
    if anew is not None:
        rows[anew]["anew"] = 18
    return rows


@pytest.mark.parametrize(
    "when",
    [
        "min(loss.total, 3) > 2 * max(loss.total, 3, 3)",
        "loss.total > 2 * median(loss.total, 3)",
        "loss.total > 3 * min(loss.total)",
        "median(loss.total, 2) > 3 * lowest(loss.total, 2)",
        "loss.total > 2 * first(loss.total)",
    ],
)
def test_a_network_that_starts_anew_is_judged_by_its_own_rows(when: str) -> None:
    alarm = Rollback(id="spike", when=when)
    values = (0.8, 0.8, 0.8, 0.8, 4.9, 4.0, 3.5, 3.1)
    assert fired_at(alarm, *losses(*values)), "the same rows of one network are a spike"
    assert fired_at(alarm, *losses(*values, anew=4)) == []
    assert fired_at(alarm, *losses(*values, 30.0, 30.0, 30.0, anew=4)), "and its own spikes are seen"


def test_what_held_for_a_while_before_a_network_starts_anew_does_not_count_after_it() -> None:
    alarm = Rollback(id="high", when="loss.total > 1", evaluations=3)
    assert fired_at(alarm, *losses(2.0, 2.0, 2.0)) == [3]
    assert fired_at(alarm, *losses(2.0, 2.0, 2.0, 2.0, anew=2)) == []
    judge = Judge(Watch(rollback=(alarm,)))
    for row in losses(2.0, 2.0, 2.0, anew=2):
        judge.observe(row)
    assert judge.healthy_before == (30,), "no checkpoint of the network before is asked for"


@pytest.mark.parametrize(
    ("criterion", "held"),
    [
        ({"hold": "once"}, "pending"),
        ({"hold": "end"}, "pending"),
        ({"hold": "always"}, "failed"),
        ({"hold": "once", "until_epoch": 2.5}, "holding"),
    ],
)
def test_a_network_that_starts_anew_holds_no_must_by_what_another_has_shown(
    criterion: dict[str, Any], held: str
) -> None:
    """Other than where the must's epochs were over by then; what failed for good stays failed."""
    high = Criterion(id="high", when="val.retrieval.mrr > 0.5", **criterion)
    judge = Judge(Watch(must=(high,)))
    shown = (0.4, 0.6) if criterion["hold"] == "always" else (0.6, 0.6)
    for epoch, mrr in enumerate(shown, 1):
        judge.observe({"step": 10 * epoch, "epoch": epoch, "val.retrieval.mrr": mrr})
    judge.observe({"step": 30, "epoch": 3, "loss.total": 1.0, "anew": 4})
    (judgement,) = judge.conclude()
    assert judgement.state == held
    assert judgement.evaluations == (0 if held == "pending" else 2)
    assert (judgement.value is None) == (held == "pending")
    assert "val.retrieval.mrr" not in judge.finals, "it is none of this network's figures"
    judge.observe({"step": 40, "epoch": 4, "val.retrieval.mrr": 0.7})
    assert judge.judgements()[0].state == ("failed" if held == "failed" else "holding")


def test_early_stop_asks_a_network_that_starts_anew_to_improve_on_itself() -> None:
    stop = EarlyStop(metric="loss.total", patience=2)
    values = (0.8, 4.9, 4.0, 3.5, 3.5, 3.5)
    for anew, steps in ((None, [30]), (1, [60])):
        judge = Judge(Watch(early_stop=stop), ENGINE_METRICS)
        assert [firing.step for row in losses(*values, anew=anew) for firing in judge.observe(row)] == steps
