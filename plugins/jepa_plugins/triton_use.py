"""Whether Triton kernels can run, how they become torch's operators, and what those that draw have in common."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

_Fake = TypeVar("_Fake", bound=Callable[..., Any])
_LIBRARY = torch.library.Library("jepa", "FRAGMENT")
HAS_TRITON = importlib.util.find_spec("triton") is not None


def has_kernels(tensor: Tensor) -> bool:
    """Whether kernels take a tensor where it is: on a GPU that Triton knows well, Ampere or later."""
    return HAS_TRITON and tensor.is_cuda and torch.cuda.get_device_properties(tensor.device).major >= 8


def dropout_seed(device: torch.device, dropout: float) -> Tensor | None:
    """(1,) int64 that a kernel's dropout and its way back draw the same mask from; None where nothing is left out.

    Drawn on the device, from the generator that everything else is drawn from: a captured step draws anew.
    """
    return torch.randint(2**31 - 1, (1,), device=device) if dropout else None


class Operator:
    """`jepa::NAME`, an operator of torch's own, which the compiler and CUDA graphs take as it is.

    `torch.library.custom_op` makes such operators too. The first call of one loads the compiler, only to keep it out,
    and every process would wait seconds for that.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        schema = torch.library.infer_schema(function, mutates_args=())
        _LIBRARY.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
        _LIBRARY.impl(name, function, "CompositeExplicitAutograd")
        self._name = f"jepa::{name}"
        self.overload: torch._ops.OpOverload = getattr(torch.ops.jepa, name).default

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns; nothing that is given is changed."""
        return self.overload(*arguments)

    def register_fake(self, fake: _Fake) -> _Fake:
        """Let `fake` tell the compiler the shapes and number formats of what is returned."""
        torch.library.register_fake(self._name, fake, lib=_LIBRARY)
        return fake

    def register_autograd(self, backward: Callable[..., Any], *, setup_context: Callable[..., None]) -> None:
        """Let `backward` give the gradients, from what `setup_context` has kept."""
        torch.library.register_autograd(self._name, backward, setup_context=setup_context, lib=_LIBRARY)


def operator(name: str) -> Callable[[Callable[..., Any]], Operator]:
    """Decorates a function of tensors and numbers with annotated arguments: it becomes the operator `jepa::name`."""
    return lambda function: Operator(name, function)
