"""The ways of a benchmark's case beside each other: ours, naive torch, the same compiled, and others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from jepa_core.benchmarking.results import MS, Rates, Result, Row
from jepa_core.benchmarking.timing import Timing, Work, timed
from jepa_core.contracts import BenchmarkCase

OURS, NAIVE, COMPILED = "jepa", "torch", "torch, compiled"


def measured(
    part: str,
    case: BenchmarkCase,
    rates: Rates,
    device: torch.device,
    *,
    is_quick: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Result:
    """Every way of a case. One that fails, such as for want of memory, has its reason for a time.

    Args:
        part: the benchmark's name.
        case: what is to be done.
        rates: the device's, for the floor.
        device: where the inputs are.
        is_quick: few calls, and nothing is compiled, which takes longer than all else.
        tell: called with the name of each thing that is measured, before it is.
    """
    timing = Timing.of(device, is_quick=is_quick)
    ways = {OURS: case.ours, NAIVE: case.naive, COMPILED: case.naive, **case.others}
    rows = []
    for name, way in ways.items():
        tell(f"{part} · {case.what} · {name}")
        if name == COMPILED and is_quick:
            rows.append(Row(way=name, note="left out by --quick"))
            continue
        rows.append(_row(name, way, case, device, timing))
    return Result(
        part=part,
        case=case.what,
        unit=case.unit,
        yardstick=NAIVE,
        rows=tuple(rows),
        floor_ms=rates.least_ms(case.flop, case.num_bytes),
        floor=case.floor,
    ).related()


def _row(name: str, way: Callable[..., Any], case: BenchmarkCase, device: torch.device, timing: Timing) -> Row:
    try:
        if name == COMPILED:
            # Variants of one function are counted over cases, and beyond eight of them nothing is compiled any more.
            torch.compiler.reset()
            way = torch.compile(way, dynamic=False)
        found = timed(both_ways(way, case.inputs), device, timing)
    except torch.OutOfMemoryError:
        return Row(way=name, note="out of memory")
    except Exception as error:  # a plugin's or a compiler's: the other ways are worth measuring all the same
        return Row(way=name, note=failure_text(error), is_failure=name != COMPILED)
    finally:
        for given in case.inputs:
            given.grad = None
    per_second = case.items / found.ms * MS if case.items else None
    first_s = found.first_s if name == COMPILED else None
    return Row(way=name, ms=found.ms, per_second=per_second, peak_mib=found.peak_mib, first_s=first_s)


def failure_text(error: Exception) -> str:
    """What was raised, on one line."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"failed: {type(error).__name__}: {first}"[:200]


def both_ways(way: Callable[..., Any], inputs: tuple[Tensor, ...]) -> Work:
    """A call of the way, and back from whatever it returns that requires a gradient."""
    gradients: list[Tensor] = []

    def work() -> None:
        for given in inputs:
            given.grad = None
        returned = way(*inputs)
        outputs = [each for each in returned if _is_differentiable(each)] if isinstance(returned, tuple) else []
        outputs += [returned] if _is_differentiable(returned) else []
        if not gradients:
            gradients.extend(map(torch.ones_like, outputs))
        if outputs:
            torch.autograd.backward(outputs, gradients)

    return work


def _is_differentiable(output: Any) -> bool:
    return isinstance(output, Tensor) and output.requires_grad
