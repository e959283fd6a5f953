"""Recorded runs for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jepa_core.run_directory.status import State
from jepa_core.run_directory.writing import RunWriter

RECIPE = """
name = "{name}"

[losses.info_nce]
weight = 1.0

[[metrics]]
name = "mine.figure"
doc = "of a plugin"
better = "lower"
unit = "%"

[watch.baseline]
recipe = "gentle"

[[watch.must]]
id = "codebook-in-use"
when = "vq.usage > 0.10"
hold = "always"

[[watch.abort]]
id = "collapse"
when = "vq.usage < 0.05"
for = 2
advice = "Refresh less often."
"""


def record_run(
    path: Path,
    rows: Iterable[Mapping[str, Any]] = (),
    *,
    name: str = "mine",
    state: State = "finished",
    data: str = "data-1",
    **status: Any,
) -> Path:
    """Write a run as a trainer does."""
    path.mkdir(parents=True)
    with RunWriter(path, recipe=name) as run:
        run.write_recipe(RECIPE.format(name=name))
        run.write_environment({"data_fingerprint": data})
        run.event("started", "info", "off we go", step=0)
        for row in rows:
            run.row(row)
        run.status.update(state=state, **status)
    return path


def validation(step: int, epoch: float, mrr: float, **more: float) -> dict[str, float]:
    return {"step": step, "epoch": epoch, "val.retrieval.mrr": mrr, "val.retrieval.null_mrr": 0.346, **more}
