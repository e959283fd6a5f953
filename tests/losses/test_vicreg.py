from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from jepa_core.facts import LossFacts
from jepa_plugins.losses.vicreg import Vicreg, VicregConfig
from tests.losses.forwards import random_forward


def build(**fields: float) -> Vicreg:
    facts = LossFacts(embedding_dim=4, projection_dim=6, context_length=3, num_tokens=5, batch_size=8)
    return VicregConfig(**fields).build(facts)


def test_it_equals_the_papers_formula() -> None:
    forward = random_forward()
    z, target = forward.z_context.detach(), forward.z_target
    covariance = torch.cov(z.T)
    expected = {
        "vicreg.invariance": (z - target).square().mean(),
        "vicreg.variance": torch.relu(1 - (z.var(0) + 1e-4).sqrt()).mean(),
        "vicreg.covariance": (covariance - covariance.diag().diag()).square().sum() / 6,
    }
    term = build()(forward)
    for name, value in expected.items():
        torch.testing.assert_close(term.figures[name], value)
    total = 25 * expected["vicreg.invariance"] + 25 * expected["vicreg.variance"] + expected["vicreg.covariance"]
    torch.testing.assert_close(term.value, total)


@pytest.mark.parametrize("only", ["invariance", "variance", "covariance"])
def test_each_weight_belongs_to_its_term_which_moves_embeddings(only: str) -> None:
    weights = {name: 3.0 if name == only else 0.0 for name in ("invariance", "variance", "covariance")}
    forward = random_forward()
    term = build(**weights)(forward)
    torch.testing.assert_close(term.value, 3 * term.figures[f"vicreg.{only}"])
    term.value.backward()
    assert forward.z_context.grad is not None
    assert forward.z_context.grad.any()


def test_a_collapsed_batch_falls_short_of_the_whole_spread() -> None:
    forward = random_forward()
    constant = torch.ones(8, 6)
    term = build(spread=2.0)(replace(forward, z_context=constant, z_target=constant))
    torch.testing.assert_close(term.figures["vicreg.variance"], torch.tensor(2.0 - 0.01))
    assert term.figures["vicreg.covariance"] == 0
    assert term.figures["vicreg.invariance"] == 0
