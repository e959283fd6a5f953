"""Random numbers that ranks and one process can be compared by.

One process draws for all sequences in one go, and ranks for a part of them each: that no two numbers agree says nothing
of a component. Under this guard each sequence draws the same numbers, on whichever rank it lies, so that what is drawn
sequence by sequence (dropout, noise) is the same function everywhere. What is drawn for the batch as a whole differs
between ranks, as in training, unless they share it: `crew.shared(draw_key(device))`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from jepa_core.crew import Crew

Drawing = Callable[..., Any]


class ComparableDraws(TorchDispatchMode):
    """While entered, every draw is decided by its number, and by the rank where it is not drawn sequence by sequence.

    It is drawn so when a dimension is a multiple of the sequences that are here: their number should be one that no
    width is a multiple of.
    """

    def __init__(self, seed: int, num_sequences: int, crew: Crew) -> None:
        """`num_sequences`: those of this rank."""
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives no types here
        self.seed, self.num_sequences, self.crew = seed, num_sequences, crew
        self.num_draws = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        draws = torch.Tag.nondeterministic_seeded in func.tags
        if not draws or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        self.num_draws += 1
        torch.default_generator.manual_seed(self.seed + self.num_draws)
        sizes = next((arg for arg in args if isinstance(arg, list | tuple)), None)
        tensor = next((arg for arg in args if isinstance(arg, Tensor)), None)
        if sizes is not None and (dim := self._dim_of_sequences(sizes)) is not None:
            return self._filled(func, args, kwargs, sizes, dim)
        if tensor is not None and _goes_by_element(func, tensor):
            dim = self._dim_of_sequences(tensor.shape)
            if dim is not None:
                return self._changed(func, args, kwargs, tensor, dim)
        torch.default_generator.manual_seed(self.seed + self.num_draws + 1_000_000 * self.crew.rank)
        return func(*args, **kwargs)

    def _dim_of_sequences(self, sizes: Sequence[int]) -> int | None:
        return next((dim for dim, size in enumerate(sizes) if size and size % self.num_sequences == 0), None)

    def _filled(self, func: Drawing, args: Sequence[Any], kwargs: Any, sizes: Sequence[int], dim: int) -> Tensor:
        """Of a size: one sequence's numbers for all."""
        of_one = [size // self.num_sequences if place == dim else size for place, size in enumerate(sizes)]
        drawn: Tensor = func(*[of_one if arg is sizes else arg for arg in args], **kwargs)
        return torch.cat([drawn] * self.num_sequences, dim)

    def _changed(self, func: Any, args: Sequence[Any], kwargs: Any, tensor: Tensor, dim: int) -> Tensor:
        """Of a tensor, which may be written to: its sequences one after the other, each with the same numbers."""
        num, parts = tensor.shape[dim] // self.num_sequences, []
        for first in range(0, tensor.shape[dim], num):
            torch.default_generator.manual_seed(self.seed + self.num_draws)
            own = [_part(arg, tensor, dim, first, num) for arg in args]
            parts.append(func(*own, **kwargs))
        return tensor if func._schema.is_mutable else torch.cat(parts, dim)


def _goes_by_element(func: Any, tensor: Tensor) -> bool:
    """Whether a part of the tensor is drawn for on its own."""
    gives_one_tensor = [str(each.type) for each in func._schema.returns] == ["Tensor"]
    return gives_one_tensor and not (func.name() == "aten::multinomial" and tensor.dim() == 1)


def _part(arg: Any, tensor: Tensor, dim: int, first: int, num: int) -> Any:
    return arg.narrow(dim, first, num) if isinstance(arg, Tensor) and arg.shape == tensor.shape else arg
