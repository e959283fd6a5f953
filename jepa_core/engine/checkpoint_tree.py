"""State trees to what a checkpoint holds, tensors by dotted path and everything else as JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_TENSOR = "__tensor__"


def split_tree(tree: Any, path: str = "") -> tuple[dict[str, Tensor], Any]:
    """Tensors by path, on the CPU and contiguous, and a JSON value that holds their paths in their place."""
    if isinstance(tree, Tensor):
        return {path: tree.detach().to("cpu", copy=True).contiguous()}, {_TENSOR: path}
    if isinstance(tree, Mapping):
        parts = {str(key): split_tree(value, f"{path}/{key}" if path else str(key)) for key, value in tree.items()}
        tensors = {name: tensor for found, _ in parts.values() for name, tensor in found.items()}
        return tensors, {key: value for key, (_, value) in parts.items()}
    if isinstance(tree, list | tuple):
        items = [split_tree(value, f"{path}/{index}") for index, value in enumerate(tree)]
        return {name: tensor for found, _ in items for name, tensor in found.items()}, [value for _, value in items]
    assert tree is None or isinstance(tree, str | int | float | bool), f"{path} holds a {type(tree).__name__}"
    return {}, tree


def join_tree(tensors: Mapping[str, Tensor], values: Any) -> Any:
    """The inverse of `split_tree`."""
    if isinstance(values, dict):
        if values.keys() == {_TENSOR}:
            return tensors[values[_TENSOR]]
        return {key: join_tree(tensors, value) for key, value in values.items()}
    if isinstance(values, list):
        return [join_tree(tensors, value) for value in values]
    return values


def same_tree(a: Any, b: Any) -> bool:
    """Whether two state trees are equal to the last bit, NaN included."""
    tensors_a, values_a = split_tree(a)
    tensors_b, values_b = split_tree(b)
    return (
        values_a == values_b
        and tensors_a.keys() == tensors_b.keys()
        and all(_same_bits(tensor, tensors_b[name]) for name, tensor in tensors_a.items())
    )


def _same_bits(a: Tensor, b: Tensor) -> bool:
    alike = a.dtype == b.dtype and a.shape == b.shape
    return alike and (a.numel() == 0 or torch.equal(_bytes(a), _bytes(b)))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)
