"""Whether Triton kernels can run, and what those that draw have in common."""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor

HAS_TRITON = importlib.util.find_spec("triton") is not None


def has_kernels(tensor: Tensor) -> bool:
    """Whether kernels take a tensor where it is: on a GPU that Triton knows well, Ampere or later."""
    return HAS_TRITON and tensor.is_cuda and torch.cuda.get_device_properties(tensor.device).major >= 8


def dropout_seed(device: torch.device, dropout: float) -> Tensor | None:
    """(1,) int64 that a kernel's dropout and its way back draw the same mask from; None where nothing is left out.

    Drawn on the device, from the generator that everything else is drawn from: a captured step draws anew.
    """
    return torch.randint(2**31 - 1, (1,), device=device) if dropout else None
