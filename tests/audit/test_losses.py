"""Losses that cannot move, reach nothing, or grow with the fourth power of the embeddings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.audit.loss_audit import audit_losses, degree_of, loss_findings, spread_of
from jepa_core.audit.report import LossFigures
from jepa_core.contracts import Forward, LossTerm
from jepa_core.metrics import Metric
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.findings import Finding
from tests.audit.recipes import (
    Detached,
    FourthPower,
    LengthAfterNormalising,
    ScaledLossConfig,
    recorded,
    with_loss,
)

RecipeMaker = Callable[..., Recipe]


def looked_at(recipe: Recipe) -> tuple[dict[str, LossFigures], list[Finding]]:
    bench = recorded(recipe)
    outcome = bench.first_outcome()
    figures = audit_losses(bench, outcome, bench.shares())
    return {loss.name: loss for loss in figures}, list(loss_findings(bench, outcome, figures))


@pytest.mark.parametrize(
    ("module", "name", "severity"),
    [
        (FourthPower, "losses.odd runs away with the scale", "warning"),
        (LengthAfterNormalising, "losses.odd constant", "critical"),
        (Detached, "losses.odd unreached", "critical"),
    ],
)
def test_a_fault_is_named(tiny_recipe: RecipeMaker, module: type[nn.Module], name: str, severity: str) -> None:
    _, findings = looked_at(with_loss(tiny_recipe(), "odd", ScaledLossConfig(module=module)))
    assert [(finding.name, finding.severity) for finding in findings] == [(name, severity)]


def test_sound_losses_have_no_finding_and_their_shares_are_those_of_the_gradient(tiny_recipe: RecipeMaker) -> None:
    figures, findings = looked_at(tiny_recipe())
    assert findings == []
    assert figures["info_nce"].degree == pytest.approx(0.0, abs=1e-4)
    assert 0 < sum(loss.share for loss in figures.values()) <= 1 + 1e-6


def test_the_raw_relational_loss_is_named_with_the_setting_that_tames_it(tiny_recipe: RecipeMaker) -> None:
    figures, findings = looked_at(
        tiny_recipe("quantizer.kind=none", "losses.relational.weight=0.1", "losses.relational.normalized=false")
    )
    assert figures["relational"].degree == pytest.approx(4.0, abs=0.01)
    (finding,) = findings
    assert "power 4" in finding.message
    assert finding.set == {"losses": {"relational": {"normalized": True}}}


def test_a_loss_is_judged_without_leaving_a_trace(tiny_recipe: RecipeMaker) -> None:
    bench = recorded(tiny_recipe())
    before = {name: tensor.clone() for name, tensor in bench.start.losses.state_dict().items()}
    outcome = bench.first_outcome()
    audit_losses(bench, outcome, bench.shares())
    assert all(before[name].equal(tensor) for name, tensor in bench.start.losses.state_dict().items())


@attrs.frozen(kw_only=True)
class FormulaConfig:
    """A loss that is a function of the projected context embeddings."""

    kind: ClassVar[str] = "formula"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    formula: Callable[[Tensor], Tensor]

    def build(self, facts: Any) -> nn.Module:
        return Formula(self.formula)


class Formula(nn.Module):
    def __init__(self, formula: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(value=self.formula(forward.z_context.float()))


@pytest.mark.parametrize(
    ("formula", "degree"),
    [
        (lambda z: z.abs().mean(), 1.0),
        (lambda z: z.square().mean().sqrt(), 1.0),
        (lambda z: z.square().mean(), 2.0),
        (lambda z: z.abs().pow(2.5).sum(), 2.5),
        (lambda z: F.normalize(z, dim=-1)[:, 0].square().mean(), 0.0),
        (lambda z: 1 / z.square().mean(), -2.0),
        (lambda z: 0 * z.sum(), None),
        (lambda z: z.square().mean() * math.nan, None),
        (lambda z: -z.square().mean(), 2.0),
    ],
)
def test_the_degree_is_the_power_of_the_scale(
    tiny_recipe: RecipeMaker, formula: Callable[[Tensor], Tensor], degree: float | None
) -> None:
    outcome = recorded(tiny_recipe()).first_outcome()
    found = degree_of(Formula(formula), outcome.forward)
    assert found == (None if degree is None else pytest.approx(degree, abs=1e-4))


def test_the_degree_of_a_sum_lies_between_those_of_its_terms_and_is_what_doubling_gives(
    tiny_recipe: RecipeMaker,
) -> None:
    forward = recorded(tiny_recipe()).first_outcome().forward

    def formula(z: Tensor) -> Tensor:
        return z.square().mean() + z.pow(4).mean()

    z = forward.z_context
    expected = math.log2(float(formula(2 * z) / formula(z)))
    assert degree_of(Formula(formula), forward) == pytest.approx(expected)
    assert 2 < expected < 4


@pytest.mark.parametrize(
    ("formula", "spread"),
    [
        (lambda z: 3 + 0 * z.sum(), 0.0),
        (lambda z: 0 * z.sum(), 0.0),
        (lambda z: z.square().mean() * math.inf, None),
        (lambda z: (z.norm(dim=-1).mean() - 1).abs() < 1e-3, 1.0),  # 1 on unit lengths, 0 elsewhere
    ],
)
def test_the_spread_is_how_far_a_loss_moves_relative_to_its_size(
    tiny_recipe: RecipeMaker, formula: Callable[[Tensor], Tensor], spread: float | None
) -> None:
    assert spread_of(Formula(formula), recorded(tiny_recipe()).first_outcome().forward) == spread


@pytest.mark.parametrize(
    ("size", "names"),
    [(1e-6, ["losses.odd constant"]), (0.01, ["losses.odd nearly dead"]), (0.1, [])],
)
def test_a_loss_is_dead_nearly_dead_or_alive_by_how_far_it_can_move(
    tiny_recipe: RecipeMaker, size: float, names: list[str]
) -> None:
    config = FormulaConfig(formula=lambda z: 1 + size * torch.tanh(z.norm(dim=-1) - 1).mean())
    _, findings = looked_at(with_loss(tiny_recipe(), "odd", config))
    assert [finding.name for finding in findings] == names
    assert all(finding.set == {"losses": {"odd": {"weight": 0.0}}} for finding in findings)


def test_a_loss_without_weight_is_not_judged(tiny_recipe: RecipeMaker) -> None:
    constant = ScaledLossConfig(module=LengthAfterNormalising)
    assert looked_at(with_loss(tiny_recipe(), "odd", constant, weight=0.0))[1] == []


def test_a_loss_that_is_zero_at_the_start_may_come_to_act(tiny_recipe: RecipeMaker) -> None:
    lengths = recorded(tiny_recipe()).first_outcome().forward.z_context.norm(dim=-1)
    low, high = 0.99 * float(lengths.min()), 1.01 * float(lengths.max())

    def hinge(z: Tensor) -> Tensor:
        return (F.relu(low - z.norm(dim=-1)) + F.relu(z.norm(dim=-1) - high)).mean()

    figures, findings = looked_at(with_loss(tiny_recipe(), "odd", FormulaConfig(formula=hinge)))
    assert (figures["odd"].value, figures["odd"].share, findings) == (0.0, 0.0, [])


def test_values_are_weighted_and_shares_follow_the_weight(tiny_recipe: RecipeMaker) -> None:
    square = FormulaConfig(formula=lambda z: z.square().mean())
    one, three = (looked_at(with_loss(tiny_recipe(), "odd", square, weight))[0]["odd"] for weight in (1.0, 3.0))
    assert three.value == pytest.approx(3 * one.value)
    rest = 1 - one.share
    assert three.share == pytest.approx(3 * one.share / (3 * one.share + rest), rel=1e-3)
