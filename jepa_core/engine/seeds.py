"""Randomness as a function of (seed, step, phase): any step can be repeated, and resume needs no generator state."""

from __future__ import annotations

import hashlib

import torch


def derived_seed(seed: int, *path: int | str) -> int:
    """A 63-bit seed that depends on every item of the path."""
    text = "/".join(str(item) for item in (seed, *path))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def seed_phase(seed: int, *path: int | str) -> None:
    """Seed torch's global generators (all devices) for one phase, such as ("step", 17, "micro", 0)."""
    torch.manual_seed(derived_seed(seed, *path))
