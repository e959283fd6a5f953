"""Views of a run for tests: plain values, as the model would make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from jepa_core.metrics import ENGINE_METRICS
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.status import Status
from jepa_core.watch.findings import Firing
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.rules import Rollback, Watch
from jepa_monitor.history.series import Series
from jepa_monitor.model.run_view import Outlook, RunView
from jepa_monitor.panels.framed_lines import Content

NOON = 1_795_435_200.0


@attrs.frozen
class NoHistory:
    """Panels look at the newest values alone."""

    num_rows: int = 0
    names: Sequence[str] = ()

    def series(self, name: str) -> Series | None:
        return None


RECIPE: Mapping[str, Any] = {
    "name": "mine",
    "quantizer": {"kind": "ema_vq", "num_codes": 8},
    "losses": {
        "info_nce": {"weight": 1.0, "temperature": 0.07, "temperature_min": 0.05, "temperature_max": 0.2},
        "relational": {"weight": 0.02},
    },
}

FINALS: Mapping[str, float] = {
    "step": 640.0,
    "epoch": 6.4,
    "loss.total": 5.0,
    "loss.info_nce": 4.0,
    "loss.info_nce.raw": 4.0,
    "loss.relational": 1.0,
    "loss.relational.raw": 50.0,
    "grad.share.info_nce": 0.9,
    "grad.share.relational": 0.1,
    "temperature": 0.068,
    "order.sensitivity": 0.42,
    "attention.entropy": 0.85,
    "val.retrieval.mrr": 0.412,
    "val.retrieval.top1": 0.31,
    "val.retrieval.null.equal_cells.mrr": 0.346,
    "val.retrieval.null.equal_cells.top1": 0.297,
    "throughput.samples_per_second": 64_120.0,
    "time.step": 0.2,
    "time.data": 0.01,
    "memory.device_gib": 11.5,
}

DIAGNOSIS: Mapping[str, Any] = {
    "step": 600,
    "code_counts": [40, 0, 8, 4, 0, 2, 1, 1],
    "spectrum": {"context": [0.5, 0.25, 0.125, 0.125], "target": [0.25, 0.25, 0.25, 0.25]},
    "time_weights": [0.25, 0.45, 0.3],
}

FIRING_B = Firing(
    name="B",
    kind="rollback",
    severity="warning",
    message="relational loss near zero: loss.relational < 0.01, value 0.004, limit 0.01",
    step=640.0,
    epoch=6.4,
    first_sign=620.0,
    evidence={
        "when": "loss.relational < 0.01",
        "rows": [
            {"step": 620.0, "epoch": 6.2, "loss.relational": 0.02},
            {"step": 640.0, "epoch": 6.4, "loss.relational": 0.004},
        ],
    },
    advice="Raise the weights back.",
    set={"losses": {"relational": {"weight": 0.025}}},
)

WATCH = Watch(
    rollback=(
        Rollback(
            id="B",
            when="loss.relational < 0.01",
            title="relational loss near zero",
            set={"losses": {"relational": {"weight": 0.025}}},
            advice="Raise the weights back.",
        ),
    )
)

EVENTS = (
    Event(sequence=1, time=NOON, step=0, name="started", message="Training starts: 1,440 steps."),
    Event(sequence=2, time=NOON + 60, step=600, name="checkpoint", message="Checkpoint at step 600."),
    Event(
        sequence=3,
        time=NOON + 64,
        step=640,
        severity="warning",
        name="rollback B",
        message=FIRING_B.message,
        advice=FIRING_B.advice,
    ),
)

MUST = Judgement(
    id="codes",
    kind="must",
    title="codebook in use",
    when="vq.usage > 0.10",
    state="holding",
    value=0.141,
    operator=">",
    limit=0.10,
    margin=0.41,
    unit="%",
    evaluations=3,
)
FIRED = Judgement(
    id="B",
    kind="rollback",
    title="relational loss near zero",
    when="loss.relational < 0.01",
    state="fired",
    evaluations=9,
)


def a_view(**changes: Any) -> RunView:
    """A running run on which scenario B has fired, with `changes`."""
    view = RunView(
        name="mine-20261122-214501",
        path="/nowhere/mine-20261122-214501",
        state="running",
        status=Status(state="running", pid=7, host="box", step=640, epoch=6.4, total_steps=1440, total_epochs=15),
        heartbeat_age=0.5,
        history=NoHistory(),
        finals=FINALS,
        metrics={metric.name: metric for metric in ENGINE_METRICS},
        watch=WATCH,
        outlooks=(
            Outlook(judgement=MUST, prospect="passing", metric="vq.usage"),
            Outlook(judgement=FIRED, prospect="fired", metric="loss.relational"),
        ),
        firings=(FIRING_B,),
        events=EVENTS,
        diagnosis=DIAGNOSIS,
        console=("epoch 6/15  step 600  info_nce 4.1", "  · Checkpoint at step 600."),
        verdict=None,
        recipe=RECIPE,
        environment={"host": "box"},
        baseline=None,
        damaged=0,
        problems=(),
    )
    return attrs.evolve(view, **changes)


def text_of(content: Content) -> str:
    """The lines of a panel, one under the other, as they would be read."""
    return "\n".join(row.text.rstrip() for row in content.lines)
