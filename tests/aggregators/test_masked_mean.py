"""The masked mean against numpy's masked arrays."""

from __future__ import annotations

import numpy as np
import torch

from jepa_plugins.aggregators.masked_mean import masked_mean


def test_it_equals_numpys_masked_mean() -> None:
    values, mask = torch.randn(6, 5, 3), torch.rand(6, 5) < 0.5
    reference = np.ma.masked_array(values.numpy(), ~np.broadcast_to(mask.unsqueeze(-1).numpy(), values.shape))

    np.testing.assert_allclose(masked_mean(values, mask).numpy(), reference.mean(1).filled(0.0), rtol=1e-5, atol=1e-6)


def test_non_finite_values_behind_the_mask_stay_there() -> None:
    values = torch.tensor([[1.0], [float("nan")], [float("inf")]])
    mask = torch.tensor([True, False, False])

    assert masked_mean(values, mask).item() == 1.0


def test_half_precision_tokens_are_summed_in_float32() -> None:
    values = torch.full((4096, 1), 1.0, dtype=torch.bfloat16)

    mean = masked_mean(values, torch.ones(4096, dtype=torch.bool))

    assert mean.dtype == torch.float32
    assert mean.item() == 1.0
