"""Where tests of Triton kernels run: on a GPU, or on the CPU through Triton's interpreter."""

from __future__ import annotations

import os

import pytest
import torch

from jepa_plugins.triton_use import HAS_TRITON

IS_ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if IS_ON_GPU else "cpu"
if not IS_ON_GPU:
    # Read when kernels are first imported, which the first call of one does.
    os.environ["TRITON_INTERPRET"] = "1"

needs_triton = pytest.mark.skipif(not HAS_TRITON, reason="Triton is not installed: pip install 'jepa-core[triton]'")
