"""Run directories for the monitor to open: eight metrics over any number of rows, finished or growing."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from types import TracebackType

from jepa_core.run_directory.writing import RunWriter

METRICS = (
    "loss.total",
    "loss.info_nce",
    "loss.relational",
    "grad.norm",
    "rank.context",
    "rank.target",
    "vq.usage",
    "val.retrieval.mrr",
)
_RECIPE = """name = "bench"

[losses.info_nce]
weight = 1.0

[losses.relational]
weight = 0.02

[[watch.must]]
id = "codebook-in-use"
when = "mean(vq.usage, 5) > 0.10"
hold = "always"

[[watch.must]]
id = "rank-context"
when = "rank.context > 5"

[[watch.abort]]
id = "non-finite"
when = "not finite(loss.total)"
"""
_BLOCK = 10_000


def row(step: int) -> dict[str, float]:
    """A row whose curves have noise, drift and a scale of their own."""
    figures = {
        name: (3 + index) * (1 + 0.4 * math.sin(step / (90 + 37 * index)) + 0.1 * math.sin(step * (1.7 + index)))
        for index, name in enumerate(METRICS)
    }
    figures["vq.usage"] /= 40
    figures["val.retrieval.mrr"] /= 30
    return {"step": step, "epoch": step / 50, **figures}


def write_run(path: Path, num_rows: int) -> Path:
    """A finished run."""
    path.mkdir(parents=True)
    with RunWriter(path, recipe="bench", total_steps=num_rows, total_epochs=num_rows / 50) as writer:
        writer.write_recipe(_RECIPE)
        _append(path, num_rows)
        writer.status.update(state="finished", step=num_rows, epoch=num_rows / 50, exit_code=0)
    return path


def _append(path: Path, num_rows: int) -> None:
    """Rows in large writes: the writer's one write a row would take a while for a million."""
    import orjson

    with (path / "metrics.jsonl").open("ab") as file:
        for start in range(0, num_rows, _BLOCK):
            block = range(start + 1, min(start + _BLOCK, num_rows) + 1)
            file.write(b"".join(orjson.dumps(row(step), option=orjson.OPT_APPEND_NEWLINE) for step in block))


class GrowingRun:
    """A run of this process that grows by `rows_per_second` while the block runs."""

    def __init__(self, path: Path, num_rows: int, rows_per_second: float) -> None:
        path.mkdir(parents=True)
        self.path = path
        self._writer = RunWriter(path, recipe="bench", total_steps=10 * num_rows, total_epochs=num_rows / 5)
        self._writer.write_recipe(_RECIPE)
        _append(path, num_rows)
        self._writer.status.update(state="running", step=num_rows)
        self._step = num_rows
        self._interval = 1 / rows_per_second
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._grow, daemon=True)

    def _grow(self) -> None:
        due = time.monotonic()
        while not self._ending.is_set():
            self._step += 1
            self._writer.row(row(self._step))
            self._writer.heartbeat(self._step, self._step / 50)
            due += self._interval
            time.sleep(max(0.0, due - time.monotonic()))

    def __enter__(self) -> GrowingRun:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._writer.close()
