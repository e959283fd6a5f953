"""Whether Triton kernels can run."""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor

HAS_TRITON = importlib.util.find_spec("triton") is not None


def has_kernels(tensor: Tensor) -> bool:
    """Whether kernels take a tensor where it is: on a GPU that Triton knows well, Ampere or later."""
    return HAS_TRITON and tensor.is_cuda and torch.cuda.get_device_properties(tensor.device).major >= 8
