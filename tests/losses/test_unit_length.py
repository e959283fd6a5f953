from __future__ import annotations

import torch

from jepa_plugins.losses.unit_length import unit_length


def test_rows_have_length_one_in_float32() -> None:
    torch.manual_seed(0)
    unit = unit_length(torch.randn(5, 3).bfloat16() * 100)
    assert unit.dtype == torch.float32
    torch.testing.assert_close(unit.norm(dim=-1), torch.ones(5))


def test_the_gradient_at_zero_is_bounded() -> None:
    zero = torch.zeros(1, 3, requires_grad=True)
    unit_length(zero).sum().backward()
    assert zero.grad is not None
    assert zero.grad.abs().max() < 1e5
