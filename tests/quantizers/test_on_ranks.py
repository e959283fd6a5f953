"""Every registered quantizer on ranks that share a batch is what one process makes of the whole batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jepa_core.contracts import ALONE, Crew, HasState, Quantized, Statistics
from jepa_core.facts import QuantizerFacts
from jepa_core.registry import installed
from tests.ranks import in_ranks

BATCH, NUM_CONTEXT, NUM_TOKENS, DIM, STEPS = 8, 2, 3, 4, 3

REVIVING = {"revive_every": 1, "revive_below": 1.0, "commitment": 0.3}
FURTHER: list[tuple[str, dict[str, Any]]] = [
    ("ema_vq", {"codes": 6, "revive_at_most": 3} | REVIVING),
    ("ema_vq", {"codes": 6, "revive_at_most": 2, "groups": 2} | REVIVING),
    # More than the tokens of one of four ranks.
    ("ema_vq", {"codes": 40, "revive_at_most": 30} | REVIVING),
    ("ema_vq", {"codes": 6, "revive_at_most": 0}),
    ("fsq", {"levels": (4, 3), "groups": 2}),
    ("seed_ema_vq", {"codes": 20, "refresh_every": 2, "refresh_below": 0.1, "commitment": 0.3}),
]
CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in installed().family("quantizer")] + FURTHER


def steps_of(name: str, fields: dict[str, Any], crew: Crew) -> dict[str, list[Tensor]]:
    """Some steps as a rank takes them: of means what it has, of rows its share, of the rest the state at the end."""
    component = installed().get("quantizer", name)
    assert component is not None
    torch.manual_seed(0)
    quantizer = component.config_class(**fields).build(QuantizerFacts(embedding_dim=DIM, crew=crew))
    assert isinstance(quantizer, nn.Module)
    found: dict[str, list[Tensor]] = {"means": [], "rows": [], "gradients": [], "state": []}
    for step in range(STEPS):
        whole, whole_mask, whole_upstream = drawn_batch(step)
        values, mask, upstream = (
            rows.chunk(crew.size)[crew.rank].clone() for rows in (whole, whole_mask, whole_upstream)
        )
        values.requires_grad_()
        # What all are to draw alike is what rank 0 draws, whatever the others would.
        torch.manual_seed(10 + step + 100 * crew.rank)
        result = quantizer(values, mask, collect=True)
        assert isinstance(result, Quantized)
        own = result.loss if result.count is None else crew.share(result.loss * result.count, result.count)
        quantizer.zero_grad()
        (own + (result.values * upstream).sum() / len(values)).backward()
        assert values.grad is not None
        found["means"] += [own.detach(), *result.figures.values()]
        found["means"] += [parameter.grad for parameter in quantizer.parameters() if parameter.grad is not None]
        found["rows"] += [result.values.detach(), *([] if result.codes is None else [result.codes])]
        found["gradients"].append(values.grad)
        if isinstance(quantizer, HasState):
            quantizer.after_step(merged(result.statistics, crew))
    found["state"] = [value.detach().float() for value in quantizer.state_dict().values()]
    return found


def drawn_batch(step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, which are real, and a gradient for what becomes of them; the first two sequences have none."""
    torch.manual_seed(1 + step)
    mask = torch.rand(BATCH, NUM_CONTEXT, NUM_TOKENS) < 0.7
    mask[:2] = False
    values, upstream = torch.randn(2, BATCH, NUM_CONTEXT, NUM_TOKENS, DIM)
    return values * mask[..., None], mask, upstream


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

    def of_all(part: str) -> list[list[Tensor]]:
        return [list(parts) for parts in zip(*(rank[part] for rank in ranks), strict=True)]

    means = [torch.stack(parts).mean(0) for parts in of_all("means")]
    torch.testing.assert_close(means, expected["means"], rtol=1e-5, atol=1e-6)
    rows = [torch.cat(parts) for parts in of_all("rows")]
    torch.testing.assert_close(rows, expected["rows"], rtol=1e-5, atol=1e-6)
    # Averaged over ranks, gradients are of the mean.
    gradients = [torch.cat(parts) / size for parts in of_all("gradients")]
    torch.testing.assert_close(gradients, expected["gradients"], rtol=1e-5, atol=1e-6)
    for rank in ranks:
        torch.testing.assert_close(rank["state"], expected["state"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fields", [fields for name, fields in FURTHER[:3]], ids=str)
def test_codes_are_revived_in_these_cases(fields: dict[str, Any]) -> None:
    revived, plain = (steps_of("ema_vq", fields | change, ALONE) for change in ({}, {"revive_at_most": 0}))
    assert not torch.equal(revived["state"][0], plain["state"][0])


def test_ranks_are_asked_only_where_candidates_are_drawn() -> None:
    """A rank that asks alone waits for the others: nothing here answers."""
    values, mask, _ = drawn_batch(0)
    absent = Crew(rank=1, size=2)
    for fields, collect in (({"codes": 6}, False), ({"codes": 6, "revive_at_most": 0}, True)):
        component = installed().get("quantizer", "ema_vq")
        assert component is not None
        quantizer = component.config_class(**fields).build(QuantizerFacts(embedding_dim=DIM, crew=absent))
        assert quantizer(values, mask, collect=collect).values.shape == values.shape
