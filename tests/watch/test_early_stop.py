"""Early stopping: patience counted in validations, live and replayed alike."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from jepa_core.metrics import ENGINE_METRICS, Metric, loss_metrics
from jepa_core.watch.findings import Firing
from jepa_core.watch.judge import Judge
from jepa_core.watch.rules import EarlyStop, Watch

DECLARED = (
    *ENGINE_METRICS,
    *loss_metrics("info_nce"),
    Metric("mine.spread", "of a plugin", "higher"),
    Metric("mine.waste", "of a plugin", "lower"),
    Metric("mine.clock", "of a plugin"),
    Metric("gate.*", "of a plugin", "higher"),
)


def firings(config: EarlyStop, values: Iterable[float], *, other: str = "") -> list[list[Firing]]:
    """What each row sets off; `other` names another metric than the one watched."""
    judge = Judge(Watch(early_stop=config), DECLARED)
    rows = ({"step": 10 * i, "epoch": float(i), other or config.metric: value} for i, value in enumerate(values, 1))
    return [judge.observe(row) for row in rows]


def test_it_fires_once_after_so_many_validations_without_improvement() -> None:
    config = EarlyStop(metric="val.retrieval.mrr", patience=2, min_delta=0.01)
    found = firings(config, [0.1, 0.2, 0.205, 0.3, 0.3, math.nan, math.nan])
    assert [len(row) for row in found] == [0, 0, 0, 0, 0, 1, 0]
    (firing,) = found[5]
    assert (firing.kind, firing.name, firing.severity, firing.step) == ("early stop", "val.retrieval.mrr", "info", 60)
    assert firing.message == "val.retrieval.mrr did not improve on 0.300 by 0.01 in 2 validations"
    assert firing.evidence == {"best": 0.3, "best_step": 40, "patience": 2}


def test_a_loss_improves_downwards() -> None:
    config = EarlyStop(metric="val.loss.info_nce.raw", patience=1)
    assert [len(row) for row in firings(config, [3.0, 2.0, 1.0, 1.5])] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("metric", "fires"),
    [("mine.spread", True), ("mine.waste", False), ("gate.3", True), ("mine.clock", False), ("mine.unheard_of", False)],
)
def test_any_metric_is_stopped_on_in_its_declared_direction_and_none_without_one(metric: str, fires: bool) -> None:
    fired = [bool(row) for row in firings(EarlyStop(metric=metric, patience=2), [3.0, 2.0, 1.0, 0.5])]
    assert fired == [False, False, fires, False]


def test_rows_are_counted_of_a_metric_of_training() -> None:
    (firing,) = firings(EarlyStop(metric="mine.waste", patience=2), [1.0, 2.0, 3.0])[2]
    assert firing.message == "mine.waste did not improve on 1 by 0 in 2 rows"


def test_rows_without_the_metric_do_not_count() -> None:
    config = EarlyStop(metric="val.retrieval.mrr", patience=1)
    assert firings(config, [1.0, 2.0, 3.0], other="loss.total") == [[], [], []]


def test_values_that_were_never_finite_are_said_to_be() -> None:
    config = EarlyStop(metric="val.retrieval.mrr", patience=2)
    (firing,) = firings(config, [math.nan, math.inf])[1]
    assert firing.message == "val.retrieval.mrr was never finite in 2 validations"


def test_the_judge_asks_for_the_stop_and_keeps_asking() -> None:
    judge = Judge(Watch(early_stop=EarlyStop(metric="val.retrieval.mrr", patience=1)), DECLARED)
    for mrr in (0.5, 0.4, 0.6):
        judge.observe({"val.retrieval.mrr": mrr})
    assert judge.decision.early_stop is not None
    assert judge.decision.ends
    assert judge.decision.abort is None
