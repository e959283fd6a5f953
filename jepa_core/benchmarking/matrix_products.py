"""The matrix products of a training step, each timed alone: what the step cannot do without.

Attention over a handful of tokens, convolutions and everything elementwise are not among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from jepa_core.benchmarking.timing import Timing, timed

_PRODUCTS = {
    torch.ops.aten.mm.default: 0,
    torch.ops.aten.bmm.default: 0,
    torch.ops.aten.addmm.default: 1,
    torch.ops.aten.baddbmm.default: 1,
}
"""Operator → the place of the left factor among its arguments."""

Shape = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]
"""Of left and right factor, and their number format."""


class MatrixProducts(TorchDispatchMode):
    """While entered, notes the shapes of matrix products, forward and backward."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.shapes: Counter[Shape] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        place = _PRODUCTS.get(func)
        if place is not None:
            left, right = args[place], args[place + 1]
            self.shapes[tuple(left.shape), tuple(right.shape), left.dtype] += 1
        return func(*args, **(kwargs or {}))

    @property
    def flop(self) -> float:
        """Of all of them: a multiplication and an addition for each pair of elements that meet."""
        return float(sum(count * 2 * _elements(left) * right[-1] for (left, right, _), count in self.shapes.items()))

    def ms_alone(self, device: torch.device, *, is_quick: bool) -> float:
        """The sum of what each takes by itself, on random numbers."""
        # There are dozens of shapes: on a CPU two calls of each have to do.
        timing = Timing.of(device, is_quick=is_quick or device.type == "cpu")
        total = 0.0
        for (left, right, dtype), count in self.shapes.items():
            a, b = (torch.randn(shape, device=device, dtype=dtype) for shape in (left, right))
            total += count * timed(lambda a=a, b=b: a @ b, device, timing).ms  # type: ignore[misc]  # called at once
        return total


def _elements(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()
