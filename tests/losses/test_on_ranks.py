"""Every registered loss on ranks that share a batch is what one process makes of the whole batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jepa_core.contracts import (
    ALONE,
    Crew,
    DeclaresTargetViews,
    Embeddings,
    Forward,
    HasState,
    LossTerm,
    Statistics,
    TargetView,
)
from jepa_core.facts import LossFacts
from jepa_core.registry import installed
from tests.losses.forwards import DIM, NUM_CONTEXT, NUM_TOKENS, PROJECTION, part_of, random_forward
from tests.ranks import in_ranks

BATCH, STEPS = 8, 2

FURTHER: list[tuple[str, dict[str, Any]]] = [
    ("info_nce", {"queue": 13}),
    ("info_nce", {"queue": 13, "duplicate_similarity": 0.9, "context_weight": 0.5}),
    ("info_nce", {"queue": 5, "duplicate_similarity": 0.9, "symmetric": True}),
    ("relational", {"normalized": False}),
]
CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in installed().family("loss")] + FURTHER


def built(name: str, fields: dict[str, Any]) -> nn.Module:
    component = installed().get("loss", name)
    assert component is not None
    facts = LossFacts(
        embedding_dim=DIM,
        projection_dim=PROJECTION,
        context_length=NUM_CONTEXT,
        num_tokens=NUM_TOKENS,
        batch_size=BATCH,
        augmentations={"doubled": lambda targets: targets.map(lambda tensor: tensor * 2)},
    )
    module = component.config_class(**fields).build(facts)
    assert isinstance(module, nn.Module)
    return module


def whole_batch(loss: nn.Module, step: int) -> Forward:
    """Two equal targets lie on two ranks, a mean is over unequal numbers, and the first sequences have no token."""
    whole = random_forward(BATCH, seed=step)
    z_target, mask, target_mask = (
        whole.z_target.clone(),
        whole.context_embeddings.mask.clone(),
        whole.target_tokens.mask.clone(),
    )
    z_target[5] = z_target[1]
    mask[:2] = target_mask[6:7] = False
    values = (whole.context_quantized.values.detach() * mask[..., None]).requires_grad_()
    names = loss.target_views() if isinstance(loss, DeclaresTargetViews) else ()
    seen = [torch.randn(BATCH, DIM, requires_grad=True) for _ in names]
    return replace(
        whole,
        z_target=z_target,
        predicted=whole.predicted.requires_grad_(),
        state=whole.state.requires_grad_(),
        context_embeddings=Embeddings(values, mask),
        context_quantized=replace(whole.context_quantized, values=values),
        target_tokens=Embeddings(whole.target_tokens.values * target_mask[..., None], target_mask),
        target_views={name: TargetView(z_target=rows, target=rows) for name, rows in zip(names, seen, strict=True)},
        is_target=torch.rand(BATCH, NUM_CONTEXT) < 0.2,
    )


def steps_of(name: str, fields: dict[str, Any], crew: Crew) -> dict[str, list[Tensor]]:
    """Some steps as a rank takes them: of means what it has, of rows its share, of the rest the state at the end."""
    found: dict[str, list[Tensor]] = {"means": [], "rows": [], "state": []}
    torch.manual_seed(0)
    loss = built(name, fields)
    for step in range(STEPS):
        part, leaves = part_of(whole_batch(loss, step), crew)
        # What all are to draw alike is what rank 0 draws, whatever the others would.
        torch.manual_seed(10 + step + 100 * crew.rank)
        term = loss(part)
        assert isinstance(term, LossTerm)
        loss.zero_grad()
        term.value.backward()
        found["means"] += [term.value.detach(), *term.figures.values()]
        found["means"] += [gradient_of(parameter) for parameter in loss.parameters()]
        found["rows"] += [gradient_of(leaf) for leaf in leaves]
        if isinstance(loss, HasState):
            loss.after_step(merged(term.statistics or Statistics(), crew))
    found["state"] = [value.detach().float() for value in loss.state_dict().values()]
    return found


def gradient_of(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def merged(statistics: Statistics, crew: Crew) -> Statistics:
    return Statistics(
        sums={name: crew.total(summed) for name, summed in statistics.sums.items()},
        rows={name: crew.gather(rows) for name, rows in statistics.rows.items()},
    )


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize(("name", "fields"), CASES, ids=str)
def test_it_is_that_of_one_process(name: str, fields: dict[str, Any], size: int) -> None:
    expected = steps_of(name, fields, ALONE)
    ranks = in_ranks(size, lambda crew: steps_of(name, fields, crew))
    found = {
        "means": [torch.stack(parts).mean(0) for parts in zip(*(rank["means"] for rank in ranks), strict=True)],
        # Averaged over ranks, gradients are of the mean.
        "rows": [torch.cat(parts) / size for parts in zip(*(rank["rows"] for rank in ranks), strict=True)],
    }
    torch.testing.assert_close(found["means"], expected["means"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found["rows"], expected["rows"], rtol=1e-5, atol=1e-6)
    for rank in ranks:
        torch.testing.assert_close(rank["state"], expected["state"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "fields"), CASES, ids=str)
def test_the_case_asks_something(name: str, fields: dict[str, Any]) -> None:
    assert any(rows.any() for rows in steps_of(name, fields, ALONE)["rows"])
