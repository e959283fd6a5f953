"""The guard against waiting for the device: it must see what it is there to see."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from jepa_core.conformance.host_sync import no_host_sync
from jepa_core.conformance.violation import Violation


def _assigned_by_mask(x: Tensor) -> Tensor:
    y = x.clone()
    y[x > 0] = x[x > 0]
    return y


def _assigned_number(x: Tensor) -> Tensor:
    y = x.clone()
    y[0] = 2.0
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
        _assigned_number,
        lambda x: x[[0, 1]],
        lambda x: torch.masked_select(x, x > 0),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x),
        lambda x: x[x.argmax()],
        lambda x: x.repeat_interleave(x.long().abs()),
        lambda x: x * torch.tensor([2.0]),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.numpy(),
        np.asarray,
        lambda x: range(x.long().sum()),
    ],
)
def test_an_operation_that_waits_is_refused(waits: Callable[[Tensor], object]) -> None:
    x = torch.linspace(-1, 1, 5)
    with pytest.raises(Violation), no_host_sync():
        waits(x)


def test_operations_of_fixed_shape_pass() -> None:
    x = torch.linspace(-1, 1, 5)
    with no_host_sync():
        chosen = torch.where(x > 0, x, 0.0).masked_fill(x > 0.9, 1.0)
        assert chosen[x.argsort()].shape == (5,)
