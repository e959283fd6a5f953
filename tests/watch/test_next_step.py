"""What a verdict says to type next: it follows the worst that was found, and more epochs only where they may help."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from jepa_core.metrics import ENGINE_METRICS
from jepa_core.watch.baseline import BaselineValues
from jepa_core.watch.findings import Finding
from jepa_core.watch.judge import Judge
from jepa_core.watch.nulls import NullFigures, RankedNulls
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rise import Rise
from jepa_core.watch.rules import Criterion, Watch
from jepa_core.watch.verdict import Verdict

RUN = Path("runs/mine-20261122-214501")
NULLS = RankedNulls(figures=(NullFigures(name="pair_analogy", mrr=0.36, top1=0.2),))
LONGER = f"jepa run {RUN}/recipe.toml --set train.epochs=20  # twice the epochs"

COLLAPSE = Finding(
    name="scenario rank_collapse.context",
    severity="critical",
    message="The context embeddings collapse: rank.context 1.2",
    step=220,
    advice="Add a loss that spreads embeddings apart: sigreg or vicreg.",
)
DEAD = Finding(
    name="scenario loss_dead.sigreg",
    severity="warning",
    message="The loss sigreg is dead: max(loss.sigreg) 0.04",
    step=300,
    advice="Leave it out.",
    set={"losses": {"sigreg": {"weight": 0.0}}},
)
SOLE_DEAD = attrs.evolve(DEAD, name="scenario loss_dead.info_nce", advice="It is the only loss.", set={})
AUDITED = Finding(
    name="audit data", severity="critical", message="All sequences are equal.", step=0, advice="Mix them."
)
RISING, FALLING = [0.1, 0.2, 0.25, 0.28, 0.3], [0.1, 0.3, 0.28, 0.25, 0.2]


def verdict_on(
    course: Sequence[float],
    *findings: Finding,
    remedy: str = "",
    low: float = -0.09,
    nulls: RankedNulls = NULLS,
    baseline: BaselineValues | None = None,
) -> Verdict:
    """Of a run of ten epochs, below the strongest null."""
    judge = Judge(Watch(), ENGINE_METRICS, baseline, 10)
    for index, mrr in enumerate(course, 1):
        above = {"above_null": low + 0.01, "above_null_low": low, "above_null_high": low + 0.02, "candidates": 400.0}
        row = {"step": 100 * index, "epoch": 2.0 * index, "val.retrieval.mrr": mrr}
        judge.observe(row | {f"val.retrieval.{name}": value for name, value in above.items()})
    return reach_verdict(
        judge, run=RUN, nulls=nulls, findings=findings, remedy_of=lambda finding: remedy if finding.set else ""
    )


def test_a_run_that_still_rises_is_trained_longer() -> None:
    assert verdict_on(RISING).next.startswith(LONGER)
    assert verdict_on([0.3]).next.startswith(LONGER)


@pytest.mark.parametrize("baseline", [None, BaselineValues(name="other", run="other", path="runs/other")])
def test_where_no_model_can_be_above_the_null_other_data_is_advised_instead_of_more_epochs(
    baseline: BaselineValues | None,
) -> None:
    perfect = RankedNulls(figures=(NullFigures(name="continued", mrr=1.0, top1=1.0, room=0.0),))
    assert verdict_on(RISING, DEAD, remedy="jepa rollback dead", nulls=perfect, baseline=baseline).next == (
        f"jepa audit {RUN}/recipe.toml --set data.KEY=VALUE  # continued, which learns nothing, finds every target "
        "(MRR 1.000): no model can be above it. "
        "Make targets harder to find: in noisier or other data, further ahead, or in longer windows"
    )
    beatable = RankedNulls(figures=(NullFigures(name="continued", mrr=0.9, top1=0.9, room=0.05),))
    assert verdict_on(RISING, nulls=beatable).next.startswith(LONGER)


def test_a_collapsed_run_is_not_trained_longer() -> None:
    assert verdict_on(RISING, COLLAPSE, DEAD, remedy="jepa rollback dead").next == (
        f"jepa rollback {RUN} --scenario rank_collapse.context --set KEY=VALUE"
        "  # The context embeddings collapse: Add a loss that spreads embeddings apart: sigreg or vicreg."
    )


def test_the_remedy_of_the_most_severe_finding_is_what_comes_next() -> None:
    mended = attrs.evolve(COLLAPSE, set={"losses": {"vicreg": {"weight": 0.1}}})
    remedy = f"jepa rollback {RUN} --scenario rank_collapse.context  # losses.vicreg.weight 0.0 → 0.1"
    assert verdict_on(RISING, mended, DEAD, remedy=remedy).next == remedy
    assert verdict_on(RISING, DEAD, remedy="jepa rollback dead").next == "jepa rollback dead"


def test_a_sole_loss_that_is_dead_gets_its_advice() -> None:
    following = verdict_on([0.1] * 5, SOLE_DEAD).next
    assert following.endswith("  # The loss sigreg is dead: It is the only loss.")


def test_a_run_whose_validation_falls_since_long_is_looked_at_where_it_was_best() -> None:
    why = "retrieval was highest at epoch 4 of 10, and more epochs alone do not help"
    assert verdict_on(FALLING).next == f"jepa eval {RUN}  # the best checkpoint: {why}"


def test_what_the_audit_found_critical_is_mended_before_more_is_trained() -> None:
    assert verdict_on(RISING, AUDITED).next == f"jepa audit {RUN}/recipe.toml  # All sequences are equal: Mix them."


def test_a_validation_too_small_for_a_verdict_is_made_larger_where_the_audit_knows_how() -> None:
    few = Finding(
        name="audit few tasks", severity="warning", message="Validation has 6 tasks.",
        set={"data": {"validation_share": 0.17}},
    )  # fmt: skip
    larger = "jepa run recipe.toml --set data.validation_share=0.17"
    watch = Watch(must=(Criterion(id="above", title="", when="val.retrieval.above_null_low > 0"),))
    for tasks, findings, start in ((6.0, [few], larger), (6.0, [], "jepa monitor "), (12.0, [few], "jepa ")):
        judge = Judge(watch, ENGINE_METRICS, None, 10)
        judge.observe({"step": 9, "epoch": 10.0, "val.retrieval.mrr": 0.3, "val.retrieval.tasks": tasks})
        following = reach_verdict(judge, run=RUN, nulls=NULLS, findings=findings, remedy_of=lambda _: larger).next
        assert following.startswith(start)
        assert (following == larger) == (start == larger)


def test_a_success_is_gone_on_with_whatever_fired() -> None:
    assert verdict_on(RISING, COLLAPSE, low=0.05).next.startswith("jepa eval ")


@pytest.mark.parametrize(
    ("values", "is_over"),
    [
        ([], False),
        ([0.3], False),
        ([0.1, 0.2], False),
        ([0.2, 0.1], True),
        ([0.3, 0.3], True),
        ([0.3, 0.303], True),
        ([0.3, math.nan], True),
        ([1, 2, 3, 4, 5, 6, 7, 9, 8.9, 8.8], False),
        ([1, 2, 3, 4, 9, 8, 7, 7, 7, 7], True),
    ],
)
def test_a_rise_is_over_where_the_highest_value_lies_far_back_or_hardly_above_the_first(
    values: list[float], *, is_over: bool
) -> None:
    rise = Rise()
    for epoch, value in enumerate(values, 1):
        rise.take(value, epoch)
    assert rise.is_over is is_over
