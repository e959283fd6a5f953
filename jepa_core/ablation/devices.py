"""Where runs go: one place for each run that may go on at the same time."""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs

from jepa_core.errors import RecipeError

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_THREADS = "OMP_NUM_THREADS"


@attrs.frozen(kw_only=True)
class Place:
    """What one run at a time may use."""

    device: str
    """As `jepa run --device` takes it."""
    environment: Mapping[str, str]
    """Added to the process's own."""


def gpu_numbers(text: str) -> tuple[int, ...]:
    """The GPUs of `--gpus 0,1`.

    Raises:
        RecipeError: the text is no list of different numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts) or len(set(map(int, parts))) < len(parts):
        raise RecipeError(f"--gpus {text[:100]}: expected numbers of different GPUs, such as 0,1.")
    return tuple(map(int, parts))


def places_for(
    gpus: tuple[int, ...], device: str, jobs: int, environment: Mapping[str, str] = os.environ
) -> tuple[Place, ...]:
    """`jobs` places on each of the GPUs, or on the one device.

    A GPU's process sees no other one. Processes that share the CPU share its cores, unless the environment says how
    many threads each has.
    """
    if gpus:
        visible = [name for name in environment.get(_VISIBLE, "").split(",") if name]
        names = [visible[gpu] if gpu < len(visible) else str(gpu) for gpu in gpus]
        chosen = [Place(device="cuda", environment={_VISIBLE: name}) for name in names]
    else:
        threads = max(1, (os.cpu_count() or 1) // jobs)
        shared = {} if jobs == 1 or _THREADS in environment else {_THREADS: str(threads)}
        chosen = [Place(device=device, environment=shared)]
    return tuple(place for place in chosen for _ in range(jobs))


def devices_to_check(gpus: tuple[int, ...], device: str) -> tuple[str, ...]:
    """What has to be there before anything runs."""
    return tuple(f"cuda:{gpu}" for gpu in gpus) or (device,)
