"""A process that is not ours alone, such as a notebook's: what training and evaluating switch is put back."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from jepa_core.engine.device import set_deterministic

_ONE_AT_A_TIME = threading.RLock()
"""Random state and switches are the whole process's: two trainings at once would disturb each other."""
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Afterwards random states, torch's switches and its number of threads are what they were, also after an exception.

    A second thread waits until the first is done.
    """
    with _ONE_AT_A_TIME:
        devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        restore_switches = _switches()
        states = random.getstate(), np.random.get_state()
        try:
            with torch.random.fork_rng(devices):
                yield
        finally:
            restore_switches()
            random.setstate(states[0])
            np.random.set_state(states[1])


def _switches() -> Callable[[], None]:
    """What puts torch's switches back to what they are now."""
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    warns_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    precision = torch.get_float32_matmul_precision()
    dtype, threads, has_grad = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    workspace = os.environ.get(_WORKSPACE)

    def restore() -> None:
        set_deterministic(is_deterministic, warn_only=warns_only)
        torch.backends.cudnn.benchmark = benchmark
        torch.set_float32_matmul_precision(precision)
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_grad_enabled(has_grad)
        if workspace is None:
            os.environ.pop(_WORKSPACE, None)
        else:
            os.environ[_WORKSPACE] = workspace

    return restore
