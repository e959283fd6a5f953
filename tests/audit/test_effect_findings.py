"""From rows without effect to findings: which are told, how severely, and with what to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import pytest

from jepa_core.audit.effect_audit import identical_reason, no_time_reason
from jepa_core.audit.effect_findings import effect_findings
from jepa_core.audit.report import ONE_OBSERVATION, ORDER_UNSEEN, EffectRow, Kind
from jepa_core.contracts import Space
from jepa_core.metrics import Metric
from jepa_core.recipes.tables import Recipe
from jepa_core.settings import setting
from jepa_core.watch.findings import Finding
from jepa_plugins.grids.space import GridSpace

RecipeMaker = Callable[..., Recipe]
AGGREGATOR, ORDER = "aggregator attention", "context order"
COPIES = "all 3 observations of context identical in 100 % of sequences"


@attrs.frozen(kw_only=True)
class Shortened:
    """Data whose context can be one observation long."""

    kind: ClassVar[str] = "shortened"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    space: ClassVar[type[Space]] = GridSpace
    context_length: int = setting("observations before the target", default=3, at_least=1)

    def build(self, facts: Any) -> Any:
        raise NotImplementedError  # findings are of settings: nothing is built


def row(name: str, kind: Kind = "part", *, has_effect: bool = False, reason: str = "", **figures: float) -> EffectRow:
    verdict = "effect" if has_effect else "none"
    return EffectRow(kind=kind, name=name, without="mean", verdict=verdict, reason=reason, **figures)  # type: ignore[arg-type]  # the figures are floats


def found(recipe: Recipe, *rows: EffectRow, explained: frozenset[str] = frozenset()) -> dict[str, Finding]:
    return {finding.name: finding for finding in effect_findings(rows, recipe, set(explained))}


def test_what_has_an_effect_or_cannot_be_tested_is_no_finding_but_that_the_aggregator_matters(
    tiny_recipe: RecipeMaker,
) -> None:
    rows = [row(AGGREGATOR, has_effect=True, embeddings=0.314), row("quantizer ema_vq", has_effect=True)]
    later = EffectRow(kind="field", name="schedule.floor", without="±20 %", verdict="not testable")
    findings = found(tiny_recipe(), *rows, row(ORDER, has_effect=True), later)
    assert set(findings) == {"aggregator matters"}
    assert "move 31.4 %" in findings["aggregator matters"].message


@pytest.mark.parametrize(
    ("kind", "name", "severity", "words"),
    [
        ("part", "quantizer ema_vq", "critical", "with mean in its place all is the same to the last bit"),
        ("part", "target network", "critical", "all is the same to the last bit"),
        ("loss", "losses.odd", "critical", "without it the first three steps are the same to the last bit"),
        ("field", "losses.odd.idle", "warning", "has no effect on this data: moved mean"),
    ],
)
def test_each_kind_without_effect_has_its_severity_and_sentence(
    tiny_recipe: RecipeMaker, kind: Kind, name: str, severity: str, words: str
) -> None:
    finding = found(tiny_recipe(), row(name, kind))[f"{name} without effect"]
    assert finding.severity == severity
    assert words in finding.message
    assert finding.advice


def test_a_loss_that_is_switched_off_is_no_fault_and_one_that_is_explained_is_told_once(
    tiny_recipe: RecipeMaker,
) -> None:
    off = found(tiny_recipe(), row("losses.odd", "loss", reason="its weight is 0"))["losses.odd without effect"]
    assert (off.severity, off.advice) == ("info", "Leave it out, or give it a weight.")
    assert found(tiny_recipe(), row("losses.odd", "loss"), explained=frozenset({"losses.odd"})) == {}


@pytest.mark.parametrize("matters", [True, False])
def test_that_the_order_is_not_seen_is_told_only_where_the_aggregator_matters(
    tiny_recipe: RecipeMaker, matters: bool
) -> None:
    findings = found(tiny_recipe(), row(AGGREGATOR, has_effect=matters), row(ORDER, reason="it sees none"))
    assert ("order without effect" in findings) is matters
    assert ("aggregator without effect" in findings) is not matters
    assert found(tiny_recipe(), row(ORDER)) == {}  # a mean, which has no row


def test_an_aggregator_that_sees_positions_is_advised_where_there_is_an_order(tiny_recipe: RecipeMaker) -> None:
    unseen, still = (
        found(tiny_recipe(), row(AGGREGATOR, has_effect=True), row(ORDER, reason=reason))["order without effect"]
        for reason in (ORDER_UNSEEN, "all 3 observations of context identical in 100 % of sequences")
    )
    assert unseen.set == {"aggregator": {"kind": "attention"}}
    assert still.set == {}
    assert "give data whose context changes" in still.advice


@pytest.mark.parametrize(
    ("data", "severity", "change"),
    [
        (None, "critical", {"aggregator": {"kind": "mean"}}),  # traces have at least two observations of context
        (Shortened(), "critical", {"data": {"context_length": 1}}),
        (Shortened(context_length=1), "info", {"aggregator": {"kind": "mean"}}),
    ],
)
def test_an_idle_aggregator_is_answered_by_the_smallest_change_that_the_data_allows(
    tiny_recipe: RecipeMaker, data: Shortened | None, severity: str, change: dict[str, Any]
) -> None:
    recipe = tiny_recipe() if data is None else attrs.evolve(tiny_recipe(), data=data)
    finding = found(recipe, row(AGGREGATOR, reason=COPIES))["aggregator without effect"]
    assert (finding.severity, finding.set) == (severity, change)


def test_what_is_advised_is_of_the_data_that_are_there(tiny_recipe: RecipeMaker) -> None:
    recipe = attrs.evolve(tiny_recipe(), data=Shortened())
    copies, mean = (
        found(recipe, row(AGGREGATOR, reason=reason))["aggregator without effect"] for reason in (COPIES, "")
    )
    assert copies.advice == (
        "Give sequences whose context changes from one observation to the next, or data.context_length = 1."
    )
    short = found(tiny_recipe(), row(AGGREGATOR, reason=ONE_OBSERVATION))["aggregator without effect"]
    assert short.advice == "Give sequences with more than one observation before the target, or aggregator.kind = mean."
    assert (mean.advice, mean.set) == ("aggregator.kind = mean would give the same.", {"aggregator": {"kind": "mean"}})


@pytest.mark.parametrize(
    ("length", "identical", "reason"),
    [
        (3, 0.49, ""),
        (3, 0.5, "all 3 observations of context identical in 50.0 % of sequences"),
        (4, 1.0, "all 4 observations of context identical in 100 % of sequences"),
    ],
)
def test_copies_are_a_reason_from_half_of_the_sequences_on(length: int, identical: float, reason: str) -> None:
    assert identical_reason(length, identical) == reason
    assert no_time_reason(length, identical).startswith(reason)
    assert bool(no_time_reason(length, identical)) is bool(reason)
    assert no_time_reason(1, identical) == "there is only one observation of context"
