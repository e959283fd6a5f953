"""What a state must look like before any of it is taken: names, types, shapes and dtypes, down to the last leaf.

An expected state is a tree like the state itself: mappings with exactly these names, lists of this length, tensors of
this shape and dtype without NaN, plain values of this type. Where an example does not say enough there is a function,
which tells what is wrong with a value. Knows nothing of runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from jepa_core.visible_text import clean

Check = Callable[[Any], str]
"""Takes a value; says what it is, and what it should be. Nothing where it is right."""


def misfit(state: Any, expected: Any, place: str = "") -> str:
    """The first thing in a state that is not as expected, with its place; nothing where all is."""
    if isinstance(expected, Mapping):
        return _misfit_of_mapping(state, expected, place)
    if isinstance(expected, list | tuple):
        return _misfit_of_list(state, expected, place)
    if isinstance(expected, Tensor):
        said = tensor_like(expected)(state)
    elif callable(expected):
        said = expected(state)
    else:
        said = "" if type(state) is type(expected) else f"is {described(state)} instead of {described(expected)}"
    return f"{clean(place, 120) or 'the state'} {said}" if said else ""


def _misfit_of_mapping(state: Any, expected: Mapping[str, Any], place: str) -> str:
    if not isinstance(state, Mapping):
        return f"{clean(place, 120) or 'the state'} is {described(state)} instead of an object"
    missing, unknown = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or unknown:
        counts = [f"{len(names)} {of}" for names, of in ((missing, "missing"), (unknown, "unknown")) if names]
        first = clean(_within(place, min(missing or unknown)), 120)
        return f"of the names in {clean(place, 120) or 'it'} {' and '.join(counts)}, first {first!r}"
    found = (misfit(state[name], expected[name], _within(place, name)) for name in expected)
    return next(filter(None, found), "")


def _misfit_of_list(state: Any, expected: Sequence[Any], place: str) -> str:
    if not isinstance(state, list | tuple) or len(state) != len(expected):
        return f"{clean(place, 120) or 'the state'} is {described(state)} instead of {described(expected)}"
    pairs = zip(state, expected, strict=True)
    found = (misfit(mine, other, _within(place, index)) for index, (mine, other) in enumerate(pairs))
    return next(filter(None, found), "")


def _within(place: str, name: object) -> str:
    return f"{place}/{name}" if place else str(name)


def described(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor of {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, Mapping) else clean(repr(value), 40)


def tensor_like(expected: Tensor, *, least: float | None = None, most: float | None = None) -> Check:
    """A tensor of the same shape and dtype without NaN, and with `least` and `most` of finite numbers from the one to
    the other."""

    def check(value: Any) -> str:
        if not isinstance(value, Tensor) or value.shape != expected.shape or value.dtype != expected.dtype:
            return f"is {described(value)} instead of {described(expected)}"
        if not value.numel() or value.is_complex():
            return ""
        low, high = (float(extreme) for extreme in torch.aminmax(value.float() if _is_short(value) else value))
        if math.isnan(low):
            return "holds NaN"
        wrong = [each for each in (low, high) if not _is_between(each, least, most)]
        return f"holds {wrong[0]:g}" if wrong else ""

    return check


def _is_short(value: Tensor) -> bool:
    """Whether torch does not compare numbers of its type."""
    return value.is_floating_point() and value.element_size() == 1


def _is_between(value: float, least: float | None, most: float | None) -> bool:
    if least is None and most is None:
        return True
    above = least is None or value >= least
    return math.isfinite(value) and above and (most is None or value <= most)


def whole(least: int = 0, most: int | None = None) -> Check:
    """A whole number from `least` to `most`."""

    def check(value: Any) -> str:
        if type(value) is int and value >= least and (most is None or value <= most):
            return ""
        return f"is {described(value)} instead of a whole number from {least}{'' if most is None else f' to {most}'}"

    return check


def number(least: float = -math.inf, most: float = math.inf) -> Check:
    """A finite number from `least` to `most`."""

    def check(value: Any) -> str:
        if type(value) in (int, float) and math.isfinite(value) and least <= value <= most:
            return ""
        limits = " ".join([f"from {least:g}"] * (least > -math.inf) + [f"to {most:g}"] * (most < math.inf))
        return f"is {described(value)} instead of a number {limits}".rstrip()

    return check


def texts(value: Any) -> str:
    """A list of different texts."""
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return "" if len(set(value)) == len(value) else "has one text twice"
    return f"is {described(value)} instead of a list of texts"
