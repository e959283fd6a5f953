"""Quantized tokens, their errors and gradients: plain torch by hand, and the kernels against plain torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jepa_plugins.quantizers import straight_through as module
from jepa_plugins.quantizers.straight_through import straight_through
from tests.triton_kernels import DEVICE, needs_triton


def test_values_errors_and_gradients_are_those_of_the_formula() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 5.0], [7.0, 7.0]], requires_grad=True)
    codebook = torch.tensor([[[0.0, 0.0], [2.0, 4.0]]])

    quantized, errors = straight_through(values, torch.tensor([True, True, False]), torch.tensor([[0, 1, 1]]), codebook)
    (2 * quantized.sum() + errors.sum()).backward()

    assert quantized.tolist() == [[0.0, 0.0], [2.0, 4.0], [0.0, 0.0]]
    assert errors.tolist() == [2.5, 1.0, 10.0]
    assert values.grad is not None
    # 2 of the values, and 2 (x − c) / D with D = 2 of the errors; none where no token is.
    assert values.grad.tolist() == [[3.0, 4.0], [3.0, 3.0], [0.0, 0.0]]


@needs_triton
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("shape", "groups", "num_codes"), [((2, 3, 5, 8), 1, 7), ((11, 24), 3, 5), ((1, 1), 1, 2), ((4, 6, 50), 2, 9)]
)
def test_kernels_give_what_torch_gives(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, shape: tuple[int, ...], groups: int, num_codes: int
) -> None:
    codebook = torch.randn(groups, num_codes, shape[-1] // groups, device=DEVICE)
    mask = torch.rand(shape[:-1], device=DEVICE) < 0.7
    codes = torch.randint(num_codes, (groups, mask.numel()), device=DEVICE)
    drawn = torch.randn(shape, device=DEVICE, dtype=dtype)
    grads = torch.randn(shape, device=DEVICE, dtype=dtype), torch.randn(shape[:-1], device=DEVICE)
    results: list[tuple[Tensor, ...]] = []
    for chosen in (False, True):
        monkeypatch.setattr(module, "has_kernels", lambda _, chosen=chosen: chosen)
        values = drawn.clone().requires_grad_()
        outputs = straight_through(values, mask, codes, codebook)
        torch.autograd.backward(outputs, grads)
        assert values.grad is not None
        results.append((*outputs, values.grad))
    tolerance = 1e-6 if dtype == torch.float32 else 2e-2
    for expected, ours in zip(*results, strict=True):
        assert ours.dtype == expected.dtype
        torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance)
