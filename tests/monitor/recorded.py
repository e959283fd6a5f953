"""A recorded run whose every byte is known, for tests and pictures of the dashboard."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from jepa_core.recorded_numbers import encode
from jepa_core.watch.nulls import NullFigures, RankedNulls

NOON = 1_795_435_200.0
STEPS = 400

RECIPE = """
name = "mine"

[quantizer]
kind = "ema_vq"
num_codes = 32

[losses.info_nce]
weight = 1.0
temperature_min = 0.05
temperature_max = 0.2

[[metrics]]
name = "vq.usage"
doc = "share of codes in use"
better = "higher"
unit = "%"

[[watch.must]]
id = "codes"
title = "codes"
when = "vq.usage > 0.10"
hold = "always"

[[watch.must]]
id = "rank"
title = "context rank"
when = "rank.context > 5"
hold = "end"

[[watch.nice]]
id = "retrieval"
when = "val.retrieval.mrr > 0.4"
hold = "end"

[[watch.abort]]
id = "collapse"
title = "collapse"
when = "vq.usage < 0.05"
after_epoch = 1

[[watch.rollback]]
id = "B"
title = "relational loss near zero"
when = "loss.relational < 0.004"
advice = "Raise the weights back."
set = { losses = { relational = { weight = 0.025 } } }
"""

NULLS = RankedNulls(
    figures=(
        NullFigures(name="extrapolation", mrr=0.346, top1=0.168, hard_mrr=0.3),
        NullFigures(name="equal_cells", mrr=0.242, top1=0.064, hard_mrr=0.4),
    ),
    strongest_hard="equal_cells",
)
ENVIRONMENT = {"device": "one GPU", "data_fingerprint": "data-1", **NULLS.to_environment()}


def rows(steps: int = STEPS) -> list[dict[str, float]]:
    """Every tenth step, and validation with every hundredth."""
    return [_row(step) for step in range(10, steps + 1, 10)]


def _row(step: int) -> dict[str, float]:
    wave = math.sin(step / 7)
    row = {
        "step": step,
        "epoch": step / 100,
        "loss.total": 9 * math.exp(-step / 150) + 1 + 0.1 * wave,
        "loss.info_nce": 8 * math.exp(-step / 150) + 1 + 0.1 * wave,
        "loss.relational": 0.06 * math.exp(-step / 160),
        "grad.norm": 4 + wave,
        "temperature": 0.07 - step / 40_000,
        "lr": 0.001 * (1 - step / 800),
        "rank.context": 4 + step / 100,
        "rank.target": 6 + step / 80,
        "vq.usage": 0.25 - step / 4000,
        "time.step": 0.1,
        "throughput.samples_per_second": 5120.0,
    }
    if step % 100 == 0:
        mrr = 0.3 + step / 5000
        row |= {
            "val.retrieval.mrr": mrr,
            "val.retrieval.candidates": 998,
            "val.retrieval.null_mrr": 0.346,
            "val.retrieval.above_null": mrr - 0.346,
            "val.retrieval.above_null_low": mrr - 0.366,
            "val.retrieval.above_null_high": mrr - 0.326,
            "val.hard.mrr": 0.2 + step / 1600,
            "val.hard.null_mrr": 0.4,
            "val.hard.blind_mrr": 0.19 + 0.01 * wave,
            "val.hard.medoid_mrr": 0.21,
            "val.hard.chance_mrr": 0.194,
            "val.loss.total": row["loss.total"] + 0.4,
        }
    return row


def record(
    path: Path,
    recorded: Iterable[Mapping[str, float]] | None = None,
    *,
    recipe: str = RECIPE,
    change: Callable[[dict[str, float]], Mapping[str, float]] = dict,
    **status: Any,
) -> Path:
    """Write the run; `change` is applied to each row."""
    path.mkdir(parents=True)
    lines = [orjson.dumps(encode(change(dict(row)))) for row in (rows() if recorded is None else recorded)]
    (path / "metrics.jsonl").write_bytes(b"\n".join(lines) + (b"\n" if lines else b""))
    (path / "recipe.toml").write_text(recipe)
    (path / "environment.json").write_bytes(orjson.dumps(ENVIRONMENT))
    events = [_event(1, 0, "started", "Training starts: 400 steps.")]
    events += [_event(2 + at // 100, at, "checkpoint", f"Checkpoint at step {at}.") for at in (100, 200, 300, 400)]
    (path / "events.jsonl").write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    (path / "diagnostics.jsonl").write_bytes(orjson.dumps(_diagnosis()) + b"\n")
    (path / "console.log").write_text("epoch 4/4  step 400\n")
    write_status(path, **status)
    return path


def write_status(path: Path, **status: Any) -> None:
    """As a trainer leaves it; a finished run unless said otherwise."""
    known = {
        "state": "finished",
        "step": STEPS,
        "epoch": 4.0,
        "total_steps": STEPS,
        "total_epochs": 4.0,
        "started": NOON,
        "heartbeat": NOON + 60,
        "host": "elsewhere",
        "exit_code": 0,
    }
    (path / "status.json").write_bytes(orjson.dumps({**known, **status}))


def append(path: Path, row: Mapping[str, float]) -> None:
    """One row more."""
    with (path / "metrics.jsonl").open("ab") as file:
        file.write(orjson.dumps(encode(dict(row))) + b"\n")


def _event(sequence: int, step: int, name: str, message: str) -> dict[str, Any]:
    return {"sequence": sequence, "time": NOON + step, "step": step, "name": name, "message": message}


def _diagnosis() -> dict[str, Any]:
    spectrum = [0.5**index for index in range(1, 13)]
    return {
        "step": 400,
        "epoch": 4.0,
        "code_counts": [(7 * index) % 11 for index in range(32)],
        "spectrum": {"context": spectrum, "target": [1 / 12] * 12},
        "time_weights": [0.2, 0.3, 0.5],
    }
