"""Observations as whoever embeds has them, made the tensors that a model takes.

Shapes: S sequences, T observations of context.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Sequences, Space
from jepa_core.errors import DataError

Given = Sequences | Observations | Mapping[str, Any] | Tensor | NDArray[Any]
"""A split, or tensors or arrays (S, T or T+1, …) by name; of a space with one tensor that alone."""


def observations_of(given: object, space: Space) -> Observations:
    """What is `Given`, of a space.

    Raises:
        DataError: it is something else, has places without a value, or lacks names.
    """
    if isinstance(given, SequenceDataset):
        raise DataError("This is a whole dataset. Give one of its splits, .train or .validation.")
    if given is None or isinstance(given, str | bytes | Path):
        raise DataError(
            f"{given!r} is nothing to embed. Give arrays or tensors, or a split, such as model.data().validation."
        )
    tensors = _named(given, space)
    if not len(next(iter(tensors.values()))):
        raise DataError("There is no sequence to embed.")
    return Observations(tensors)


def _named(given: Any, space: Space) -> dict[str, Tensor]:
    if isinstance(given, Sequences):
        given = given.observations
    if isinstance(given, Observations):
        return {name: _tensor(name, values) for name, values in given.tensors.items()}
    sample = space.sample(1).tensors
    expected = tuple(sample)
    if not isinstance(given, Mapping):
        if len(expected) > 1:
            raise DataError(f"{space.plural} are several tensors: name them, {' and '.join(expected)}.")
        given = {expected[0]: given}
    if set(given) != set(expected):
        named = ", ".join(map(str, given)) or "nothing"
        raise DataError(f"{space.plural} are {' and '.join(expected)}, and {named} was given.")
    tensors = {name: _tensor(name, given[name]) for name in expected}
    for name, tensor in tensors.items():
        # A sample (1, …) lacks the dimension of the observations of a sequence.
        if tensor.dim() != sample[name].dim() + 1:
            raise DataError(
                f"{name} has the shape {tuple(tensor.shape)}, of {tensor.dim()} dimensions, and "
                f"{sample[name].dim() + 1} are needed: sequences, observations, and those of one observation of "
                f"{space.describe()}."
            )
    # Other libraries' real numbers are of double precision by default.
    return {
        name: tensor.float() if tensor.dtype == torch.float64 and sample[name].dtype == torch.float32 else tensor
        for name, tensor in tensors.items()
    }


def _tensor(name: str, values: Any) -> Tensor:
    """
    Raises:
        DataError: it is none with values at every place, and cannot become one.
    """
    if isinstance(values, Tensor):
        return _dense(name, values)
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        missing = int(np.ma.getmaskarray(values).sum())
        raise DataError(f"{name} has {missing:,} masked values. Say what stands there, such as .filled(0).")
    try:
        array = np.ascontiguousarray(values)
        return torch.as_tensor(array if array.flags.writeable else array.copy())
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} is no array of numbers: {str(error).rstrip('.')}.") from error


def _dense(name: str, tensor: Tensor) -> Tensor:
    if tensor.is_meta:
        raise DataError(f"{name} lies on the meta device, which holds no values. Give a tensor with values.")
    if tensor.is_quantized:
        raise DataError(f"{name} is a quantized tensor. Give it as real numbers: .dequantize().")
    if tensor.is_nested:
        raise DataError(f"{name} is a nested tensor. Give one in which all sequences are of one length.")
    if tensor.layout != torch.strided:
        raise DataError(f"{name} is a sparse tensor. Give it dense: .to_dense().")
    return tensor
