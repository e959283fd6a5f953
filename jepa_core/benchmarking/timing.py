"""How long work takes on a device, and how much memory."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable

import attrs
import torch

from jepa_core.benchmarking.results import MS

Work = Callable[[], object]


@attrs.frozen(kw_only=True)
class Timing:
    """How often work is done."""

    warm_up: int
    most: int
    """Calls that the median is of, where all are done in `seconds`; `fewest` are made in any case."""
    fewest: int
    seconds: float

    @staticmethod
    def of(device: torch.device, *, is_quick: bool) -> Timing:
        """Enough for a steady median on a GPU; on a CPU what there is time for."""
        if is_quick:
            return Timing(warm_up=1, most=2, fewest=2, seconds=0.0)
        if device.type == "cuda":
            return Timing(warm_up=5, most=20, fewest=3, seconds=3.0)
        return Timing(warm_up=2, most=10, fewest=3, seconds=1.0)


@attrs.frozen(kw_only=True)
class Timed:
    """What came of it."""

    ms: float
    """Median of a call."""
    peak_mib: float | None
    """Most memory above what was there before; None on a CPU, whose memory torch does not count."""
    first_s: float
    """Seconds of the very first call."""


def timed(work: Work, device: torch.device, timing: Timing) -> Timed:
    """Do the work often enough. On CUDA the device's own clock is read, and calls are not waited for one by one."""
    warm_up = [_waited_for(work, device) for _ in range(timing.warm_up)]
    calls = min(timing.most, max(timing.fewest, int(timing.seconds / warm_up[-1])))
    taken = (_on_cuda if device.type == "cuda" else _on_cpu)(work, calls)
    return Timed(ms=statistics.median(taken), peak_mib=_peak_mib(work, device), first_s=warm_up[0])


def wait_for(device: torch.device) -> None:
    """Until the device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _waited_for(work: Work, device: torch.device) -> float:
    """Seconds until it is done."""
    begun = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - begun


def _on_cpu(work: Work, calls: int) -> list[float]:
    return [MS * _waited_for(work, torch.device("cpu")) for _ in range(calls)]


def _on_cuda(work: Work, calls: int) -> list[float]:
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(calls + 1)]
    marks[0].record()
    for mark in marks[1:]:
        work()
        mark.record()
    marks[-1].synchronize()
    return [begun.elapsed_time(done) for begun, done in itertools.pairwise(marks)]


def _peak_mib(work: Work, device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    wait_for(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    wait_for(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20
