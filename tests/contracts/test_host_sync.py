"""The guard of the contract tests itself: it must see what it is there to see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.contracts.host_sync import NoHostSync


def _assigned_by_mask(x: Tensor) -> Tensor:
    y = x.clone()
    y[x > 0] = x[x > 0]
    return y


@pytest.mark.parametrize(
    "waits",
    [
        lambda x: x.sum().item(),
        lambda x: float(x.sum()),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        _assigned_by_mask,
        lambda x: torch.masked_select(x, x > 0),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x),
        lambda x: x[x.argmax()],
        lambda x: x.repeat_interleave(x.long().abs()),
        lambda x: x * torch.tensor([2.0]),
    ],
)
def test_an_operation_that_waits_is_refused(waits: Callable[[Tensor], object]) -> None:
    x = torch.linspace(-1, 1, 5)
    with pytest.raises(AssertionError), NoHostSync():
        waits(x)


def test_operations_of_fixed_shape_pass() -> None:
    x = torch.linspace(-1, 1, 5)
    with NoHostSync():
        chosen = torch.where(x > 0, x, 0.0).masked_fill(x > 0.9, 1.0)
        assert chosen[x.argsort()].shape == (5,)
