"""A guard that fails on operations whose result, or its shape, the host has to wait for on a CUDA device.

It works on the CPU: it sees what reaches PyTorch's dispatcher, and the methods that copy to the host without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from jepa_core.conformance.violation import require

_WAITING = {
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::is_nonzero",
    "aten::equal",
    "aten::allclose",
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::bincount",
    "aten::repeat_interleave.Tensor",
}
_COPYING = (Tensor.tolist, Tensor.numpy, Tensor.cpu, Tensor.__array__)

_MASKS = (torch.bool, torch.uint8)
_INDEXING = {"aten::index.Tensor", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}


@contextmanager
def no_host_sync() -> Iterator[None]:
    """Within it an operation that waits for the device raises Violation, with its name.

    `torch.compiler.is_compiling()` is true: a component that takes another course on the CPU, where nobody waits, asks
    it to leave compiled programs their own, and that course is the one to look at.
    """
    with patch.object(torch.compiler, "_is_compiling_flag", True), _NoCopyToHost(), _NoWaitingOperation():
        yield


class _NoCopyToHost(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        require(func not in _COPYING, f"Tensor.{name} copies to the host, which waits for the device")
        if func is Tensor.__setitem__:
            message = "a number assigned to a part of a tensor is copied from the host: .fill_() writes it there"
            require(isinstance(args[2], Tensor), message)
        if func in (Tensor.__setitem__, Tensor.__getitem__):
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            message = "a list as an index is copied from the host: use slices, or a buffer of the module"
            require(not any(isinstance(place, list) for place in places), message)
        return func(*args, **(kwargs or {}))


class _NoWaitingOperation(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives no types here

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.name()
        require(name not in _WAITING, f"{name} makes the host wait for the device")
        # A single number is an operation's operand, which it takes along; `torch.tensor` of several copies them.
        require(name != "aten::lift_fresh" or args[0].dim() == 0, "torch.tensor(…) copies from the host")
        if name in _INDEXING:
            chosen_by_mask = any(index is not None and index.dtype in _MASKS for index in args[1])
            require(not chosen_by_mask, f"{name} by a mask: the shape of the result depends on the data")
        return func(*args, **(kwargs or {}))
