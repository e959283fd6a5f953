"""Losses that cannot move, reach nothing, or grow with the fourth power of the embeddings."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import nn

from jepa_core.audit.loss_audit import audit_losses, loss_findings
from jepa_core.audit.report import LossFigures
from jepa_core.recipe.tables import Recipe
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
