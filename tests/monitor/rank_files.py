"""The files that the ranks of a run write of themselves, whose every figure is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.layout import rank_metrics


def rank_row(rank: int, step: int, **changes: float) -> dict[str, float]:
    """Every rank takes 0.2 s a step, of which it waits 0.03 s for the others; rank 3 is the one that they wait for."""
    is_slow = rank == 3
    row: dict[str, float] = {
        "step": step,
        "epoch": step / 100,
        "loss.total": 5 + 0.01 * rank + 0.001 * (step % 7),
        "time.step": 0.2 + 0.001 * (step % 3),
        "time.data": 0.06 if is_slow else 0.008,
        "time.wait": 0.002 if is_slow else 0.03 + 0.0005 * (rank % 8),
        "memory.device_gib": 11.5 + 0.1 * (rank % 4),
    }
    return row | {name.replace("__", "."): value for name, value in changes.items()}


def append_rows(run: Path, rank: int, *rows: Mapping[str, float]) -> None:
    with (run / rank_metrics(rank)).open("ab") as file:
        file.writelines(orjson.dumps(encode(dict(row))) + b"\n" for row in rows)


def record_ranks(run: Path, num_ranks: int, *, silent: Mapping[int, int] | None = None, steps: int = 400) -> Path:
    """A row every tenth step of every rank; those in `silent` end with the step given there."""
    for rank in range(num_ranks):
        last = (silent or {}).get(rank, steps)
        append_rows(run, rank, *(rank_row(rank, step) for step in range(10, last + 1, 10)))
    return run
