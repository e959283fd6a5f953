"""What holds for every loss, beyond what holds for every module."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jepa_core.contracts import DeclaresViews, JudgesWholeSet
from jepa_core.facts import OUTSIDE
from tests.contracts.host_sync import NoHostSync
from tests.contracts.module_state import assert_equal
from tests.contracts.situations import PROJECTION_DIM, SITUATIONS, USUAL, Situation, drawn_grids
from tests.contracts.subjects import Subject, subjects

every_loss = pytest.mark.parametrize("subject", subjects("loss"))


@every_loss
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_it_is_a_float32_scalar_with_declared_detached_figures(subject: Subject, situation: Situation) -> None:
    loss = subject.build(situation)
    inputs = subject.inputs(loss, situation)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = subject.call(loss, inputs)
    assert (outputs["value"].shape, outputs["value"].dtype) == ((), torch.float32)
    figures = {name.removeprefix("figure."): value for name, value in outputs.items() if name.startswith("figure.")}
    assert set(figures) <= {metric.name for metric in subject.config.metrics}
    assert all(figure.shape == () and not figure.requires_grad for figure in figures.values())


def sequences() -> tuple[Tensor, Tensor]:
    """Grids (B, T+1, H, W) and sizes (B, T+1, 2)."""
    torch.manual_seed(1)
    num_grids = USUAL.context_length + 1
    drawn = drawn_grids(USUAL, USUAL.batch * num_grids)
    return drawn["grids"].unflatten(0, (-1, num_grids)), drawn["sizes"].unflatten(0, (-1, num_grids))


@pytest.mark.parametrize("subject", subjects("loss", offering=DeclaresViews))
def test_its_views_are_sequences_of_grids_decided_by_the_seed(subject: Subject) -> None:
    loss = subject.build()
    assert isinstance(loss, DeclaresViews)
    grids, sizes = sequences()
    given = {"grids": grids.clone(), "sizes": sizes.clone()}
    for transform in loss.views().values():
        drawn = []
        for _ in range(2):
            torch.manual_seed(6)
            with NoHostSync():
                drawn.append(dict(zip(("grids", "sizes"), transform(grids, sizes), strict=True)))
        assert_equal(*drawn)
        view = drawn[0]
        assert (view["grids"].shape, view["grids"].dtype) == (grids.shape, torch.uint8)
        assert (view["sizes"].shape, view["sizes"].dtype) == (sizes.shape, torch.int64)
        cells = torch.arange(USUAL.side)
        is_inside = (cells[:, None] < view["sizes"][..., :1, None]) & (cells < view["sizes"][..., 1:, None])
        assert torch.equal(view["grids"] < OUTSIDE, is_inside)
    assert_equal({"grids": grids, "sizes": sizes}, given)


@pytest.mark.parametrize("subject", subjects("loss", offering=JudgesWholeSet))
def test_a_judgement_of_the_whole_set_is_a_finite_scalar_for_any_number_of_candidates(subject: Subject) -> None:
    loss = subject.build()
    assert isinstance(loss, JudgesWholeSet)
    for num_predictions, num_candidates in ((5, 3), (1, 1), (4, 9)):
        positive = torch.arange(num_predictions) % num_candidates
        value = loss.over_candidates(
            torch.randn(num_predictions, PROJECTION_DIM), torch.randn(num_candidates, PROJECTION_DIM), positive
        )
        assert value.shape == ()
        assert value.isfinite()
