"""Random numbers as a function of a key and a place, so that ranks draw what one process would have drawn.

torch's generators give numbers in the order of calls: a rank that has a share of a batch would draw other numbers for
it. Here number i of a key is a hash of both, whoever asks for it and whatever else was drawn. The hash is SplitMix64's
finaliser (Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131
"""2⁶⁴ / φ as a signed number: the step from one place to the next."""
_INVERSE = -1018231460777725123
"""Of that, modulo 2⁶⁴."""
_FIRST, _SECOND = -4658895280553007687, -7723592293110705685


def draw_key(device: torch.device) -> Tensor:
    """Scalar int64, from the device's generator. Ranks draw one each: `Crew.shared` makes it one for all."""
    return torch.randint(2**62, (), device=device)


def keyed_uniform(key: Tensor, num: int, *, first: int = 0) -> Tensor:
    """(num,) float32 in (0, 1): numbers `first` … `first + num − 1` of a key, which is a scalar int64."""
    places = torch.arange(first, first + num, device=key.device)
    # 23 bits and half a step, which float32 holds exactly: neither 0 nor 1, so that logarithms are finite.
    # key + places · golden, as the compiler takes it: places times a number is an index to it, which would overflow.
    bits = _mixed((key * _INVERSE + places) * _GOLDEN)
    return (_shifted(bits, 41).float() + 0.5) * 2.0**-23


def keyed_normal(key: Tensor, num: int) -> Tensor:
    """(num,) float32 of a standard normal distribution (Box & Muller 1958): the first `num` numbers of a key."""
    half = (num + 1) // 2
    uniform = keyed_uniform(key, 2 * half)
    radius, angle = (-2 * uniform[:half].log()).sqrt(), 2 * math.pi * uniform[half:]
    return torch.cat([radius * angle.cos(), radius * angle.sin()])[:num]


def _mixed(bits: Tensor) -> Tensor:
    bits = (bits ^ _shifted(bits, 30)) * _FIRST
    bits = (bits ^ _shifted(bits, 27)) * _SECOND
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """To the right, zeros coming in: torch's own shift of a signed number brings in its sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)
