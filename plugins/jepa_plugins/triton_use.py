"""Whether Triton kernels can run."""

from __future__ import annotations

import importlib.util

from torch import Tensor

HAS_TRITON = importlib.util.find_spec("triton") is not None


def has_kernels(tensor: Tensor) -> bool:
    """Whether kernels take a tensor where it is: on CUDA, with Triton there."""
    return HAS_TRITON and tensor.is_cuda
