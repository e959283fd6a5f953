"""Observations: named tensors with common leading dimensions, such as `grid` and `size` of a grid.

A class of our own and not `tensordict` 0.15, measured on two CPU cores with torch 2.13: importing that takes 1.67 s
beside torch's own 1.68 s; slicing, flattening and joining a batch takes 151 µs, and 54 µs with plain tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor


@dataclass(frozen=True)
class Observations:
    """Tensors by name. Their leading dimensions are alike: (S, T+1, …) in a split, (B, T+1, …) in a batch.

    Whatever is done to leading dimensions is done to all tensors; what the others mean is the business of datasets,
    encoders and nulls.
    """

    tensors: Mapping[str, Tensor]

    @overload
    def __getitem__(self, key: str) -> Tensor: ...

    @overload
    def __getitem__(self, key: Any) -> Observations: ...

    def __getitem__(self, key: Any) -> Tensor | Observations:
        """The tensor of a name; by anything else, which may index leading dimensions alone, all tensors indexed."""
        return self.tensors[key] if isinstance(key, str) else self.map(lambda tensor: tensor[key])

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    @property
    def device(self) -> torch.device:
        return next(iter(self.tensors.values())).device

    @property
    def num_bytes(self) -> int:
        """Of memory."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())

    def map(self, change: Callable[[Tensor], Tensor]) -> Observations:
        """Every tensor changed in the same way."""
        return Observations({name: change(tensor) for name, tensor in self.tensors.items()})

    def to(self, device: torch.device | str) -> Observations:
        return self.map(lambda tensor: tensor.to(device))

    def flatten(self) -> Observations:
        """The first two dimensions as one."""
        return self.map(lambda tensor: tensor.flatten(0, 1))

    def split(self, size: int) -> list[Observations]:
        """Parts of at most `size` along the first dimension."""
        parts = zip(*(tensor.split(size) for tensor in self.tensors.values()), strict=True)
        return [Observations(dict(zip(self.tensors, part, strict=True))) for part in parts]

    @staticmethod
    def cat(parts: Sequence[Observations], dim: int = 0) -> Observations:
        """Joined along a leading dimension."""
        return Observations({name: torch.cat([part[name] for part in parts], dim) for name in parts[0].tensors})
