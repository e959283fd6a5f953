"""The loss equals the formula of the paper, stays finite between equal embeddings, and spreads what it trains."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Embeddings, Forward, LossTerm, Quantized, Statistics
from jepa_core.facts import LossFacts
from jepa_recency.koleo import KoleoConfig


def koleo(z: Tensor, softening: float = 1e-6) -> LossTerm:
    """The loss of embeddings (B, P); what it does not look at is empty."""
    facts = LossFacts(embedding_dim=1, projection_dim=z.shape[1], context_length=1, num_tokens=1, batch_size=len(z))
    nothing = torch.zeros(len(z), 1)
    tokens = Embeddings(torch.zeros(len(z), 1, 1), torch.ones(len(z), 1, dtype=torch.bool))
    term: LossTerm = KoleoConfig(softening=softening).build(facts)(
        Forward(
            z_context=z,
            z_target=z.detach(),
            predicted=nothing,
            state=nothing,
            target=nothing,
            context_embeddings=tokens,
            context_quantized=Quantized(tokens.values, None, torch.zeros(()), Statistics()),
            target_tokens=tokens,
        )
    )
    return term


def test_it_is_minus_the_mean_log_distance_to_the_nearest_neighbour() -> None:
    z = torch.randn(9, 4)
    distances = torch.cdist(F.normalize(z), F.normalize(z)).fill_diagonal_(torch.inf)
    nearest = distances.min(1).values
    term = koleo(z)
    torch.testing.assert_close(term.value, -nearest.log().mean(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(term.figures["koleo.nearest"], nearest.mean(), rtol=1e-4, atol=1e-4)


def test_equal_embeddings_and_a_lone_one_have_finite_gradients() -> None:
    for z in (torch.ones(4, 3, requires_grad=True), torch.zeros(4, 3, requires_grad=True)):
        koleo(z).value.backward()
        assert z.grad is not None
        assert z.grad.isfinite().all()
    lone = torch.randn(1, 3, requires_grad=True)
    term = koleo(lone)
    term.value.backward()
    assert term.value == 0
    assert lone.grad is not None
    assert not lone.grad.any()


def test_descending_it_spreads_embeddings() -> None:
    torch.manual_seed(0)
    z = (torch.randn(16, 4) * 0.05 + 1).requires_grad_()
    optimizer = torch.optim.SGD([z], lr=0.1)
    before = koleo(z).figures["koleo.nearest"]
    for _ in range(100):
        optimizer.zero_grad()
        koleo(z, softening=1e-2).value.backward()
        optimizer.step()
    assert koleo(z).figures["koleo.nearest"] > 3 * before
