"""What a module remembers, and the randomness around it that it must leave alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.conformance.situations import Tensors
from jepa_core.conformance.violation import require


def state_of(module: nn.Module) -> Tensors:
    """A copy of all parameters and buffers, those that no checkpoint holds included."""
    return {
        name: tensor.detach().clone()
        for tensors in (module.named_parameters(), module.named_buffers())
        for name, tensor in tensors
    }


def gradients_of(module: nn.Module, inputs: Tensors) -> Tensors:
    """The gradients of all parameters and inputs that have one."""
    named = {**{f"input {name}": tensor for name, tensor in inputs.items()}, **dict(module.named_parameters())}
    return {f"gradient of {name}": tensor.grad for name, tensor in named.items() if tensor.grad is not None}


def differentiate(outputs: Tensors) -> None:
    """Take the gradient of a scalar in which every element with a gradient counts, each with a weight of its own."""
    generator = torch.Generator().manual_seed(0)
    parts: list[Tensor] = [
        (output.float() * torch.randn(output.shape, generator=generator)).sum()
        for output in outputs.values()
        if output.requires_grad
    ]
    if parts:
        torch.stack(parts).sum().backward()


@contextmanager
def foreign_randomness_untouched() -> Iterator[None]:
    """Raises Violation when Python's or NumPy's global generator was drawn from: the engine seeds torch's alone."""

    def states() -> tuple[Any, str]:
        return random.getstate(), repr(np.random.get_state(legacy=False))

    before = states()
    yield
    require(states() == before, "it draws from Python's or NumPy's global generator; use torch's, which the run seeds")
