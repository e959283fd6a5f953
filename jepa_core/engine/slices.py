"""Tensors of which each rank has a slice: how to get at the slice, at the whole, and back.

Any other tensor passes as it is, so that what works on slices needs not ask. Knows no modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from jepa_core.contracts import Crew


def local(tensor: Tensor) -> Tensor:
    """This rank's slice of a sharded tensor, in the same memory; any other tensor as it is."""
    to_local = getattr(tensor, "to_local", None)
    return tensor if to_local is None else to_local()


def is_sharded(tensor: Tensor) -> bool:
    """Whether ranks have slices of it."""
    return hasattr(tensor, "to_local")


def whole_tree(tree: Any) -> Any:
    """A tree of state with whole tensors. A meeting of all ranks."""
    if isinstance(tree, Tensor):
        return tree.full_tensor() if is_sharded(tree) else tree  # type: ignore[attr-defined]  # a DTensor's
    if isinstance(tree, Mapping):
        return {key: whole_tree(value) for key, value in tree.items()}
    return [whole_tree(value) for value in tree] if isinstance(tree, list | tuple) else tree


def sharded_as(own: Tensor, value: Tensor) -> Tensor:
    """A whole tensor, which every rank has, cut as its own counterpart is; as it is where that is not sharded."""
    if not is_sharded(own) or is_sharded(value) or own.shape != value.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(own.device), own.device_mesh, own.placements)  # type: ignore[attr-defined]


def slice_of(parameter: Tensor, part: Tensor) -> Tensor:
    """A rank's slice as the sharded tensor that it is a part of, cut as the parameter is."""
    if not is_sharded(parameter) or part.ndim == 0:
        return part
    from torch.distributed.tensor import DTensor

    return DTensor.from_local(
        part,
        parameter.device_mesh,  # type: ignore[attr-defined]  # a DTensor's
        parameter.placements,  # type: ignore[attr-defined]
        shape=parameter.shape,
        stride=parameter.stride(),
    )


def total_norm(gradients: Sequence[Tensor], crew: Crew) -> Tensor:
    """The norm of all gradients together, of which some are slices."""
    slices = [local(gradient) for gradient in gradients if is_sharded(gradient)]
    others = [gradient for gradient in gradients if not is_sharded(gradient)]
    if not slices:
        return nn.utils.get_total_norm(others, foreach=True)
    square = crew.total(nn.utils.get_total_norm(slices, foreach=True).square())
    return (square + nn.utils.get_total_norm(others, foreach=True).square()).sqrt() if others else square.sqrt()
