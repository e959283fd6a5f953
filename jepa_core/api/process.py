"""A process that is not ours alone, such as a notebook's: what training and evaluating switch is put back."""

from __future__ import annotations

import os
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

_ONE_AT_A_TIME = threading.RLock()
"""Random state and switches are the whole process's: two trainings at once would disturb each other."""
_VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "TORCHINDUCTOR_CACHE_DIR")
"""Of the environment: set for deterministic kernels, and by torch's compiler, which finds its folder again without."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, torch is as it starts, whatever the caller has switched or entered; afterwards all is as it was.

    Put back, also after an exception: random states, warning filters, environment variables, torch's switches and its
    number of threads. A second thread waits until the first is done. As a decorator it holds for a function's imports,
    too. Loads torch.
    """
    with ExitStack() as stack:
        stack.enter_context(_ONE_AT_A_TIME)
        # First of all, since libraries draw numbers and add filters while they are imported, torch among them.
        stack.callback(_random_states())
        stack.callback(_variables())
        stack.enter_context(warnings.catch_warnings())
        stack.callback(_dtype_and_threads())
        _enter_usual_torch(stack)
        yield


def _enter_usual_torch(stack: ExitStack) -> None:
    """What a caller's `with` has switched for this thread, such as autocast, would change figures or break training."""
    import torch

    from jepa_core.engine.device import numerics_kept

    stack.enter_context(numerics_kept())
    stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.enable_grad())
    for kind in ("cpu", "cuda"):
        if torch.is_autocast_enabled(kind):
            stack.enter_context(torch.autocast(kind, enabled=False))
    # Only where it is needed: under such a context every call of torch goes through Python.
    if torch.get_default_device().type != "cpu":
        stack.enter_context(torch.device("cpu"))
    torch.set_default_dtype(torch.float32)
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    stack.enter_context(torch.random.fork_rng(devices))


def _random_states() -> Callable[[], None]:
    """What puts the generators of Python and numpy back to where they are."""
    python, numpy = random.getstate(), np.random.get_state()

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)

    return restore


def _variables() -> Callable[[], None]:
    """What puts environment variables back to what they are."""
    before = {name: os.environ.get(name) for name in _VARIABLES}

    def restore() -> None:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    return restore


def _dtype_and_threads() -> Callable[[], None]:
    """What puts torch's default dtype and number of threads back to what they are."""
    import torch

    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()

    def restore() -> None:
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)

    return restore
