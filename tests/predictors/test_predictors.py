"""The built-in predictors."""

from __future__ import annotations

import pytest
import torch

from jepa_core.facts import PredictorFacts
from jepa_plugins.predictors.identity import IdentityConfig
from jepa_plugins.predictors.mlp import MlpConfig

FACTS = PredictorFacts(embedding_dim=8, context_length=3)


def test_identity_changes_nothing() -> None:
    state = torch.randn(4, 8)

    assert torch.equal(IdentityConfig().build(FACTS)(state), state)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_an_mlp_has_as_many_linear_layers_as_asked(layers: int) -> None:
    predictor = MlpConfig(layers=layers).build(FACTS)

    assert sum(isinstance(module, torch.nn.Linear) for module in predictor.modules()) == layers
    assert predictor(torch.randn(4, 8)).shape == (4, 8)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_an_mlp_starts_near_identity_with_a_gradient_for_every_parameter(layers: int) -> None:
    predictor = MlpConfig(layers=layers).build(FACTS)
    state = torch.randn(16, 8)
    predicted = predictor(state)
    (predicted * torch.randn(16, 8)).sum().backward()

    assert 0 < (predicted - state).norm() < 0.05 * state.norm()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in predictor.parameters())


def test_dropout_is_off_in_evaluation() -> None:
    predictor = MlpConfig(dropout=0.5).build(FACTS)
    state = torch.randn(4, 8)

    assert not torch.equal(predictor(state), predictor(state))
    predictor.eval()
    assert torch.equal(predictor(state), predictor(state))


def test_an_mlp_runs_in_bfloat16_and_compiles() -> None:
    predictor = MlpConfig().build(FACTS)
    state = torch.randn(4, 8)
    compiled = torch.compile(predictor, fullgraph=True, backend="aot_eager")

    torch.testing.assert_close(compiled(state), predictor(state))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(predictor(state).float(), predictor(state).float())
        assert predictor(state).isfinite().all()
