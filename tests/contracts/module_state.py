"""What a module remembers, and the randomness around it that it must leave alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.contracts.situations import Tensors


def state_of(module: nn.Module) -> Tensors:
    """A copy of all parameters and buffers, those that no checkpoint holds included."""
    return {
        name: tensor.detach().clone()
        for tensors in (module.named_parameters(), module.named_buffers())
        for name, tensor in tensors
    }


def assert_equal(actual: Tensors, expected: Tensors) -> None:
    """Bitwise, by name."""
    torch.testing.assert_close(detached(actual), detached(expected), rtol=0, atol=0, equal_nan=True)


def detached(tensors: Tensors) -> Tensors:
    """The same values, without gradient."""
    return {name: tensor.detach() for name, tensor in tensors.items()}


@contextmanager
def foreign_randomness_untouched() -> Iterator[None]:
    """Fails when Python's or NumPy's global generator was drawn from: the engine seeds torch's alone."""

    def states() -> tuple[Any, str]:
        return random.getstate(), repr(np.random.get_state(legacy=False))

    before = states()
    yield
    assert states() == before, "drew from Python's or NumPy's global generator; use torch's"
