"""A guard that fails on operations whose result, or its shape, the host has to wait for on a CUDA device.

It sees what reaches PyTorch's dispatcher on the CPU; `tolist` and `numpy` do not, and are found when compiling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

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

_MASKS = (torch.bool, torch.uint8)
_INDEXING = {"aten::index.Tensor", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}


class NoHostSync(TorchDispatchMode):
    """Within it an operation that waits for the device raises AssertionError, with its name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives no types here

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.name()
        assert name not in _WAITING, f"{name} makes the host wait for the device"
        # A single number may come from an assignment, which fills in place; `torch.tensor` of several copies them.
        assert name != "aten::lift_fresh" or args[0].dim() == 0, "torch.tensor(…) copies from the host"
        if name in _INDEXING:
            chosen_by_mask = [index for index in args[1] if index is not None and index.dtype in _MASKS]
            assert not chosen_by_mask, f"{name} by a mask: the shape of the result depends on the data"
        return func(*args, **(kwargs or {}))
