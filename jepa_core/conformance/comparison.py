"""Comparing tensors by name, with a message that shows the first element that differs."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.conformance.situations import Tensors
from jepa_core.conformance.violation import Violation
from jepa_core.contracts import Observations, Space


def require_equal(actual: Tensors, expected: Tensors, why: str) -> None:
    """Bitwise, by name.

    Raises:
        Violation: they differ; the text starts with `why`.
    """
    _require(actual, expected, why, rtol=0.0, atol=0.0)


def require_close(actual: Tensors, expected: Tensors, why: str, *, rtol: float = 1.3e-6, atol: float = 1e-5) -> None:
    """Up to rounding, by name.

    Raises:
        Violation: they differ by more; the text starts with `why`.
    """
    _require(actual, expected, why, rtol=rtol, atol=atol)


def require_finite(tensors: Tensors, why: str) -> None:
    """No NaN and no infinity.

    Raises:
        Violation: there is one; the text starts with `why`.
    """
    for name, tensor in detached(tensors).items():
        bad = ~tensor.isfinite()
        # Rows of statistics may hold anything: they are between a component and itself.
        if not name.startswith("rows.") and bad.any():
            raise Violation(f"{why}: {_element(name, tensor, bad)} ({_share(bad)} are not finite)")


def require_of_space(space: Space, observations: Observations, name: str) -> None:
    """Observations (S, T+1, …) are of the space.

    Raises:
        Violation: they are not; the text starts with `name`.
    """
    try:
        space.check(observations)
    except ValueError as error:
        raise Violation(f"{name} is not of {space.describe()}: {error}") from error


def detached(tensors: Tensors) -> Tensors:
    """The same values, without gradient."""
    return {name: tensor.detach() for name, tensor in tensors.items()}


def _require(actual: Tensors, expected: Tensors, why: str, *, rtol: float, atol: float) -> None:
    if actual.keys() != expected.keys():
        raise Violation(f"{why}: {_names(actual)} instead of {_names(expected)}")
    for name, tensor in detached(actual).items():
        reference = expected[name].detach()
        if (tensor.shape, tensor.dtype) != (reference.shape, reference.dtype):
            raise Violation(f"{why}: {name} is {_kind(tensor)} instead of {_kind(reference)}")
        differs = ~torch.isclose(tensor, reference, rtol=rtol, atol=atol, equal_nan=True)
        if differs.any():
            shown = _element(name, tensor, differs)
            raise Violation(f"{why}: {shown} instead of {_value(reference, differs)} ({_share(differs)} differ)")


def _names(tensors: Tensors) -> str:
    return ", ".join(tensors) or "nothing"


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _element(name: str, tensor: Tensor, chosen: Tensor) -> str:
    """The first chosen element, such as "state[0, 3] = 1.25"."""
    index = chosen.nonzero()[0].tolist()
    return f"{name}{index or ''} = {_value(tensor, chosen)}"


def _value(tensor: Tensor, chosen: Tensor) -> str:
    value = tensor[chosen][0].item()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _share(chosen: Tensor) -> str:
    return f"{int(chosen.sum())} of {chosen.numel()} values"
