from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest

from jepa_core.metrics import ENGINE_METRICS, Metric, loss_metrics
from jepa_core.watch.baseline import BaselineValues, series_of
from jepa_core.watch.findings import Finding
from jepa_core.watch.judge import Judge
from jepa_core.watch.nulls import NullFigures, RankedNulls
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Abort, Criterion, Watch
from jepa_core.watch.verdict import BestCheckpoint, Ending, Verdict, verdict_from_json, verdict_to_json

DECLARED = (*ENGINE_METRICS, *loss_metrics("info_nce"))
RUN = Path("runs/mine-20261122-214501")
HOLDS = Criterion(id="holds", when="val.retrieval.mrr > 0")
FAILS = Criterion(id="fails", when="val.retrieval.mrr > 1")
UNJUDGED = Criterion(id="unjudged", when="never.seen > 1")


def row(mrr: float, **more: float) -> dict[str, float]:
    return {"step": 10, "epoch": 1.0, "val.retrieval.mrr": mrr, "val.retrieval.null_mrr": 0.346, **more}


def run_of(mrr: float, **more: float) -> BaselineValues:
    return BaselineValues(name="gentle", run="gentle-1", path="runs/gentle-1", series=series_of([row(mrr, **more)]))


def verdict_on(
    mrr: float,
    baseline: BaselineValues | None,
    *musts: Criterion,
    figures: Mapping[str, float] | None = None,
    ending: Ending = "finished",
    cause: str = "",
) -> Verdict:
    judge = Judge(Watch(must=musts), DECLARED, baseline)
    judge.observe(row(mrr, **(figures or {})))
    return reach_verdict(judge, run=RUN, ending=ending, cause=cause)


@pytest.mark.parametrize(
    ("mrr", "musts", "outcome"),
    [
        (0.50, (HOLDS,), "success"),
        (0.50, (HOLDS, FAILS), "neutral"),
        (0.50, (UNJUDGED,), "neutral"),
        (0.405, (HOLDS,), "neutral"),
        (0.395, (HOLDS,), "neutral"),
        (0.30, (HOLDS,), "regression"),
        (math.nan, (), "regression"),
    ],
)
def test_the_outcome_follows_from_the_judged_figure_and_the_musts(
    mrr: float, musts: tuple[Criterion, ...], outcome: str
) -> None:
    assert verdict_on(mrr, run_of(0.40), *musts).outcome == outcome


def test_raw_info_nce_decides_where_retrieval_was_not_measured_and_lower_is_better() -> None:
    baseline = BaselineValues(name="figures", figures={"val.loss.info_nce.raw": 5.0})
    verdict = verdict_on(0.4, baseline, figures={"val.loss.info_nce.raw": 4.0})
    assert verdict.outcome == "success"
    assert verdict.compared[0].change == pytest.approx(0.2)


SPREAD = Metric("mine.spread", "of a plugin", "higher", "%")
WASTE = Metric("mine.waste", "of a plugin", "lower")


def judged_by(names: tuple[str, ...], mine: Mapping[str, float], theirs: Mapping[str, float]) -> Verdict:
    """The verdict on a run whose retrieval is as good as its baseline's."""
    judge = Judge(Watch(judge=names), (*DECLARED, SPREAD, WASTE, Metric("mine.clock", "")), run_of(0.4, **theirs))
    judge.observe(row(0.4, **mine))
    return reach_verdict(judge, run=RUN)


@pytest.mark.parametrize(
    ("name", "mine", "theirs", "outcome", "change"),
    [
        ("mine.spread", 0.6, 0.5, "success", 0.2),
        ("mine.spread", 0.4, 0.5, "regression", -0.2),
        ("mine.waste", 0.6, 0.5, "regression", -0.2),
        ("mine.waste", 0.4, 0.5, "success", 0.2),
    ],
)
def test_a_metric_that_the_recipe_names_decides_in_its_declared_direction(
    name: str, mine: float, theirs: float, outcome: str, change: float
) -> None:
    verdict = judged_by((name, "val.retrieval.mrr"), {name: mine}, {name: theirs})
    assert verdict.outcome == outcome
    assert verdict.reason == f"{name} 20.0 % {'better' if change > 0 else 'worse'} than gentle"
    assert [figure.name for figure in verdict.compared] == [name, "val.retrieval.mrr"]
    assert verdict.compared[0].change == pytest.approx(change)


def test_a_judged_figure_that_the_baseline_lacks_is_told_of() -> None:
    names, mine = ("mine.spread", "mine.waste"), {"mine.spread": 0.5, "mine.waste": 0.1}
    verdict = judged_by(names, mine, {"mine.waste": 0.2})
    assert verdict.reason == "mine.waste 50.0 % better than gentle; gentle has no mine.spread to judge by"
    # What would have come after the one that decided is no news.
    assert "to judge by" not in judged_by(names, mine, {"mine.spread": 0.4}).reason
    nothing = judged_by(names, mine, {})
    assert nothing.outcome == "neutral"
    assert nothing.reason.endswith("; gentle has no mine.spread and no mine.waste to judge by")


def test_a_compared_figure_has_its_declared_unit() -> None:
    (figure,) = judged_by(("mine.spread",), {"mine.spread": 0.6}, {"mine.spread": 0.5}).compared
    assert figure.unit == "%"


@pytest.mark.parametrize("first", ["mine.clock", "mine.unheard_of", "mine.waste"])
def test_what_has_no_direction_or_is_not_on_both_sides_decides_nothing(first: str) -> None:
    verdict = judged_by((first, "mine.spread"), {first: 0.1, "mine.spread": 0.6}, {"mine.spread": 0.5})
    assert [figure.name for figure in verdict.compared] == ["mine.spread"]
    assert verdict.outcome == "success"


def test_without_a_judged_figure_on_both_sides_equal_runs_are_no_finding() -> None:
    verdict = judged_by(("mine.spread",), {}, {})
    assert (verdict.outcome, verdict.reason) == ("neutral", "no judged figure is shared with gentle")


def test_no_rank_among_too_few_candidates_is_compared() -> None:
    few = {"val.retrieval.candidates": 19, "val.retrieval.top1": 0.5, "mine.spread": 0.5}
    verdict = judged_by(("val.retrieval.top1", "mine.spread"), few, few)
    assert [figure.name for figure in verdict.compared] == ["mine.spread"]


NULLS = RankedNulls(
    figures=(
        NullFigures(name="pair_analogy", mrr=0.36, top1=0.17, hard_mrr=0.6),
        NullFigures(name="equal_cells", mrr=0.2, top1=0.1, hard_mrr=0.3),
    ),
    strongest_hard="pair_analogy",
)


def beside_nulls(
    mrr: float,
    low: float,
    *musts: Criterion,
    baseline: BaselineValues | None = None,
    candidates: int = 400,
    hard: Mapping[str, float] | None = None,
    epochs: float | None = None,
) -> Verdict:
    above = {"above_null": mrr - 0.36, "above_null_low": low, "above_null_high": 2 * (mrr - 0.36) - low}
    judge = Judge(Watch(must=musts), DECLARED, baseline, epochs)
    judge.observe(
        row(mrr, **{f"val.retrieval.{name}": value for name, value in above.items()}, **(hard or {}))
        | {"val.retrieval.candidates": candidates}
    )
    return reach_verdict(judge, run=RUN, nulls=NULLS, null_only=["task a", "task b", "task a"])


@pytest.mark.parametrize(
    ("mrr", "low", "musts", "outcome", "reason"),
    [
        (0.45, 0.05, (HOLDS,), "success", "above pair analogy, the strongest null: MRR +0.090 [0.050, 0.130]"),
        (
            0.45,
            0.05,
            (HOLDS, FAILS),
            "neutral",
            "above pair analogy, the strongest null: MRR +0.090 [0.050, 0.130], but",
        ),
        (0.37, -0.01, (HOLDS,), "neutral", "not above pair analogy, which learns nothing: MRR +0.010 [−0.010, 0.030]"),
        (0.30, -0.09, (HOLDS,), "neutral", "not above pair analogy, which learns nothing: MRR −0.060 [−0.090, −0.030]"),
    ],
)
def test_without_a_baseline_the_strongest_null_decides(
    mrr: float, low: float, musts: tuple[Criterion, ...], outcome: str, reason: str
) -> None:
    verdict = beside_nulls(mrr, low, *musts)
    assert verdict.outcome == outcome
    assert verdict.reason.startswith(reason)
    assert verdict.retrieval is not None
    assert (verdict.retrieval.null, verdict.retrieval.null_mrr, verdict.retrieval.num_null_only) == (
        "pair_analogy",
        0.36,
        3,
    )
    assert verdict.retrieval.null_only == ("task a", "task b")


def test_below_the_strongest_null_a_longer_run_is_what_to_type_next() -> None:
    longer = f"jepa run {RUN}/recipe.toml --set train.epochs=14  # "
    assert beside_nulls(0.37, -0.01, HOLDS, FAILS, epochs=7).next.startswith(longer)
    assert not beside_nulls(0.45, 0.05, HOLDS, FAILS, epochs=7).next.startswith(longer)


def test_better_than_the_baseline_is_no_success_below_the_strongest_null() -> None:
    verdict = beside_nulls(0.37, -0.01, HOLDS, baseline=run_of(0.20))
    assert verdict.outcome == "neutral"
    assert verdict.reason.startswith("not above pair analogy")
    assert "85.0 % better than gentle" in verdict.reason
    assert beside_nulls(0.45, 0.05, HOLDS, baseline=run_of(0.20)).outcome == "success"
    assert beside_nulls(0.45, 0.05, HOLDS, baseline=run_of(0.60)).outcome == "regression"


def test_where_the_last_grid_is_the_target_nothing_is_a_success() -> None:
    """Every null is at 1.000, so no difference can be above 0."""
    perfect = RankedNulls(figures=(NullFigures(name="equal_cells", mrr=1.0, top1=1.0),))
    judge = Judge(Watch(must=(HOLDS,)), DECLARED, run_of(0.2))
    same = {"above_null": 0.0, "above_null_low": 0.0, "above_null_high": 0.0}
    judge.observe(row(1.0, **{f"val.retrieval.{name}": value for name, value in same.items()}))
    assert reach_verdict(judge, run=RUN, nulls=perfect).outcome == "neutral"


@pytest.mark.parametrize("baseline", [None, run_of(0.2)])
def test_with_fewer_than_20_candidates_there_is_no_verdict_on_retrieval(baseline: BaselineValues | None) -> None:
    verdict = beside_nulls(0.9, 0.5, HOLDS, baseline=baseline, candidates=19)
    assert verdict.outcome == ("no baseline" if baseline is None else "neutral")
    assert verdict.reason.startswith("19 candidates: with fewer than 20 retrieval says nothing")
    assert [figure.name for figure in verdict.compared] == []
    assert beside_nulls(0.9, 0.5, HOLDS, baseline=baseline, candidates=20).outcome == "success"


@pytest.mark.parametrize(("tasks", "outcome"), [(9, "no baseline"), (10, "success")])
def test_with_fewer_than_10_tasks_a_difference_to_a_null_says_nothing(tasks: int, outcome: str) -> None:
    judge = Judge(Watch(must=(HOLDS,)), DECLARED, None)
    above = {
        "val.retrieval.above_null": 0.09,
        "val.retrieval.above_null_low": 0.05,
        "val.retrieval.above_null_high": 0.1,
    }
    judge.observe(row(0.45, **above, **{"val.retrieval.candidates": 400, "val.retrieval.tasks": tasks}))
    verdict = reach_verdict(judge, run=RUN, nulls=NULLS)
    assert verdict.outcome == outcome
    assert verdict.reason.startswith("validation has 9 tasks" if tasks == 9 else "above pair analogy")


def test_without_a_measured_difference_better_than_the_baseline_is_no_success() -> None:
    judge = Judge(Watch(must=(HOLDS,)), DECLARED, run_of(0.2))
    judge.observe(row(0.45, **{"val.retrieval.candidates": 400}))
    verdict = reach_verdict(judge, run=RUN, nulls=NULLS)
    assert verdict.outcome == "neutral"
    assert verdict.reason.startswith(
        "not compared with any null: pair analogy is the strongest, and no row has the difference; val."
    )


def test_without_a_measured_difference_nothing_is_called_not_above() -> None:
    judge = Judge(Watch(must=(HOLDS,)), DECLARED, None)
    judge.observe(row(0.45, **{"val.retrieval.candidates": 400}))
    verdict = reach_verdict(judge, run=RUN, nulls=NULLS)
    assert verdict.outcome == "neutral"
    assert verdict.reason == "not compared with any null: pair analogy is the strongest, and no row has the difference"


@pytest.mark.parametrize("baseline", [None, run_of(0.2)])
def test_a_difference_from_before_a_rollback_to_another_network_makes_no_success(
    baseline: BaselineValues | None,
) -> None:
    judge = Judge(Watch(must=(HOLDS,)), DECLARED, baseline)
    judge.observe(row(0.45, **{"val.retrieval.above_null": 0.09, "val.retrieval.above_null_low": 0.05}))
    verdict = reach_verdict(judge, run=RUN, nulls=NULLS, not_paired="that network is another now")
    assert verdict.outcome == "neutral"
    assert verdict.reason.startswith("not compared with any null: pair analogy is the strongest, and that network is")
    assert verdict.retrieval is not None
    assert verdict.retrieval.above is None


def test_where_every_null_failed_better_than_the_baseline_is_no_success() -> None:
    judge = Judge(Watch(must=(HOLDS,)), DECLARED, run_of(0.2))
    judge.observe(row(0.45, **{"val.retrieval.candidates": 400}))
    nulls = RankedNulls(disabled=("untrained",), failed={"my_null": "ValueError: boo", "other": "SystemExit: 0"})
    verdict = reach_verdict(judge, run=RUN, nulls=nulls)
    assert verdict.outcome == "neutral"
    assert verdict.reason.startswith(
        "not compared with any null: my null, other could not be ranked; val.retrieval.mrr"
    )


def test_where_the_recipe_switches_every_null_off_the_baseline_alone_decides() -> None:
    judge = Judge(Watch(must=(HOLDS,)), DECLARED, run_of(0.2))
    judge.observe(row(0.45, **{"val.retrieval.candidates": 400}))
    assert reach_verdict(judge, run=RUN, nulls=RankedNulls(disabled=("equal_cells",))).outcome == "success"


@pytest.mark.parametrize(("candidates", "outcome"), [(1, "no baseline"), (19, "no baseline"), (20, "regression")])
def test_a_stop_among_too_few_candidates_has_nothing_to_be_compared_with(candidates: int, outcome: str) -> None:
    judge = Judge(Watch(), DECLARED, None)
    judge.observe(row(0.45, **{"val.retrieval.candidates": candidates}))
    verdict = reach_verdict(judge, run=RUN, nulls=NULLS, ending="abort", cause="codes collapsed")
    assert (verdict.outcome, verdict.exit_code, verdict.reason) == (outcome, 3, "stopped: codes collapsed")


def test_nulls_alone_are_no_effect_of_a_change() -> None:
    mine = {"val.retrieval.above_null": 0.1, "val.retrieval.null_mrr": 0.3}
    theirs = {"val.retrieval.above_null": 0.2, "val.retrieval.null_mrr": 0.2}
    assert verdict_on(0.4, run_of(0.4, **theirs), HOLDS, figures=mine).outcome == "no effect"


def test_a_baseline_that_cannot_be_compared_with_is_named_beside_the_nulls_verdict() -> None:
    judge = Judge(Watch(must=(HOLDS,)), DECLARED, None)
    judge.observe(row(0.45, **{"val.retrieval.above_null": 0.09, "val.retrieval.above_null_low": 0.05}))
    verdict = reach_verdict(judge, run=RUN, nulls=NULLS, no_baseline_because="the figures are of other data")
    assert verdict.not_compared == "the figures are of other data"
    assert verdict_from_json(verdict_to_json(verdict)).not_compared == verdict.not_compared
    assert reach_verdict(judge, run=RUN, nulls=NULLS).not_compared == ""


@pytest.mark.parametrize(("blind", "medoid", "void"), [(0.25, 0.2, ""), (0.5, 0.2, "blind"), (0.2, 0.9, "medoid")])
def test_near_copies_are_void_where_a_control_is_far_from_chance(blind: float, medoid: float, void: str) -> None:
    figures = {"mrr": 0.7, "null_mrr": 0.6, "blind_mrr": blind, "medoid_mrr": medoid, "chance_mrr": 0.18}
    hard = {f"val.hard.{name}": value for name, value in figures.items()}
    verdict = beside_nulls(0.45, 0.05, HOLDS, hard=hard)
    assert verdict.retrieval is not None
    assert verdict.retrieval.hard is not None
    assert (verdict.retrieval.hard.mrr, verdict.retrieval.hard.null) == (0.7, "pair_analogy")
    assert verdict.retrieval.hard.void.startswith(f"the {void} control" if void else "")
    assert bool(verdict.retrieval.hard.void) == bool(void)


def test_a_verdict_of_an_earlier_version_has_counting_equal_cells_as_its_null() -> None:
    recorded = {"run": "a", "outcome": "success", "reason": "", "ending": "finished"}
    old = verdict_from_json({**recorded, "retrieval": {"mrr": 0.4, "baseline_mrr": 0.3, "baseline_top1": 0.2}})
    assert old.retrieval is not None
    assert (old.retrieval.null, old.retrieval.null_mrr, old.retrieval.null_top1) == ("equal_cells", 0.3, 0.2)


def test_without_a_baseline_the_verdict_says_so_and_still_judges() -> None:
    verdict = verdict_on(0.4, None, HOLDS)
    assert verdict.outcome == "no baseline"
    assert verdict.musts[0].held
    assert verdict.exit_code == 0
    assert verdict.next.startswith("jepa eval ")


def test_after_a_success_no_rollback_is_next_whatever_fired() -> None:
    for mrr, expected in ((0.5, "jepa eval "), (0.3, "jepa rollback ")):
        judge = Judge(Watch(must=(HOLDS,)), DECLARED, run_of(0.4))
        judge.observe(row(mrr))
        verdict = reach_verdict(judge, run=RUN, next_command="jepa rollback mine --scenario A")
        assert verdict.next.startswith(expected), verdict.outcome


def test_figures_equal_to_the_last_digit_are_no_effect_whatever_the_time_took() -> None:
    baseline = run_of(0.40, **{"loss.total": 5.0, "time.step": 1.0})
    verdict = verdict_on(0.40, baseline, HOLDS, figures={"loss.total": 5.0, "time.step": 2.0, "moved.aggregator": 0.1})
    assert verdict.outcome == "no effect"
    assert verdict.reason.startswith("Every figure equals gentle's to the last digit")


def test_one_differing_digit_is_an_effect() -> None:
    baseline = run_of(0.40, **{"loss.total": 5.0})
    assert verdict_on(0.40, baseline, HOLDS, figures={"loss.total": math.nextafter(5.0, 6)}).outcome == "neutral"


def test_a_figure_of_the_recipe_that_is_hit_exactly_proves_no_missing_effect() -> None:
    baseline = BaselineValues(name="figures", figures={"val.retrieval.mrr": 0.4})
    assert verdict_on(0.40, baseline, HOLDS).outcome == "neutral"


@pytest.mark.parametrize("ending", ["abort", "non-finite"])
def test_a_run_that_was_stopped_is_a_regression_with_exit_code_3(ending: Ending) -> None:
    verdict = verdict_on(0.9, run_of(0.4), HOLDS, ending=ending, cause="codebook collapse")
    assert (verdict.outcome, verdict.exit_code) == ("regression", 3)
    assert "codebook collapse" in verdict.reason


@pytest.mark.parametrize(("musts", "code"), [((), 0), ((HOLDS,), 0), ((HOLDS, FAILS), 4), ((UNJUDGED,), 4)])
def test_the_exit_code_is_4_when_a_must_did_not_hold(musts: tuple[Criterion, ...], code: int) -> None:
    assert verdict_on(0.9, run_of(0.4), *musts).exit_code == code
    assert verdict_on(0.9, run_of(0.4), *musts, ending="early stop").exit_code == code


def test_a_verdict_survives_its_file() -> None:
    judge = Judge(
        Watch(
            must=(Criterion(id="m", when="loss.total < 9", hold="always"), HOLDS),
            nice=(UNJUDGED,),
            abort=(Abort(id="a", when="loss.total > 20"),),
        ),
        DECLARED,
        run_of(0.3),
    )
    judge.observe(row(0.4, **{"loss.total": math.inf, "val.retrieval.top1": 0.2}))
    best = BestCheckpoint(step=10, epoch=1.0, why="highest retrieval")
    found = Finding(
        name="audit losses.sigreg nearly dead",
        severity="warning",
        message="nearly dead",
        step=0,
        evidence={"spread": 0.003},
        advice="Feed it others.",
        set={"losses": {"sigreg": {"weight": 0.0}}},
    )
    verdict = reach_verdict(judge, run=RUN, best=best, findings=[found], rollbacks=1)
    recorded = orjson.loads(orjson.dumps(verdict_to_json(verdict)))
    assert recorded["exit_code"] == verdict.exit_code == 4
    assert recorded["judgements"][0]["value"] == "inf"
    assert verdict_from_json(recorded) == verdict


def test_what_another_version_wrote_into_a_verdict_is_passed_over() -> None:
    verdict = verdict_on(0.4, None, HOLDS)
    recorded = {**verdict_to_json(verdict), "warnings": ["sigreg nearly dead"]}
    del recorded["findings"]
    assert verdict_from_json(recorded) == verdict


@pytest.mark.parametrize(
    "recorded", [None, [], 3, "text", {}, {"outcome": "splendid"}, {"outcome": "success", "run": {}}]
)
def test_what_is_no_verdict_is_a_value_error(recorded: object) -> None:
    with pytest.raises(ValueError, match="not a verdict"):
        verdict_from_json(recorded)


@pytest.mark.parametrize(
    ("figures", "shown"),
    [
        ({"val.probe.colour.knn": 0.4}, "the best checkpoint with its probes;"),
        ({}, "the best checkpoint beside every null;"),
    ],
)
def test_probes_are_promised_only_where_the_data_has_labels(figures: dict[str, float], shown: str) -> None:
    assert shown in verdict_on(0.4, None, HOLDS, figures=figures).next
