"""Randomness as a function of (seed, step, phase): any step can be repeated, and resume needs no generator state."""

from __future__ import annotations

import hashlib
from functools import cache

import torch


def derived_seed(seed: int, *path: int | str) -> int:
    """A 63-bit seed that depends on every item of the path."""
    text = "/".join(str(item) for item in (seed, *path))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def seed_phase(seed: int, *path: int | str) -> None:
    """Seed torch's global generators for one phase, such as ("step", 17, "micro", 0)."""
    seed_generators(derived_seed(seed, *path))


def seed_generators(seed: int) -> None:
    """Seed torch's global generators, of all devices.

    `torch.manual_seed` notes a traceback each time for every kind of device that may come into use later, which takes
    longer than to seed those that are there.
    """
    if _has_accelerator() and not torch.cuda.is_initialized():
        torch.manual_seed(seed)
        return
    torch.default_generator.manual_seed(seed)
    for generator in torch.cuda.default_generators:
        generator.manual_seed(seed)


@cache
def _has_accelerator() -> bool:
    """Asked once: to count a machine's devices takes longer than to seed them."""
    return torch.accelerator.is_available()
