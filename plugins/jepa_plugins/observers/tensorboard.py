"""TensorBoard: figures as curves, events as text, through tensorboardX.

Event files lie in the run directory's `tensorboard/`, so `tensorboard --logdir runs` shows all runs side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs

from jepa_core.facts import ObserverFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.observers.extra import import_extra

FOLDER = "tensorboard"


@attrs.frozen(kw_only=True)
class TensorboardConfig:
    """Curves and events for TensorBoard, in the run directory."""

    kind: ClassVar[str] = "tensorboard"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    flush_seconds: float = setting(
        "time after which a figure is on disk at the latest", default=10.0, above=0, unit="s"
    )

    def build(self, facts: ObserverFacts) -> Tensorboard:
        return Tensorboard(self, facts, import_extra("tensorboardX", "tensorboard"))


class Tensorboard:
    """Writes event files. Figures later than a resumed run's checkpoint are replaced by the new ones."""

    def __init__(self, config: TensorboardConfig, facts: ObserverFacts, library: Any) -> None:
        self._config = config
        self._resumed_at = facts.resumed_at
        self._library = library
        self._writer: Any = None

    def start(self, run_path: Path, recipe_table: Mapping[str, Any]) -> None:
        purge = {} if self._resumed_at is None else {"purge_step": self._resumed_at + 1}
        self._writer = self._library.SummaryWriter(
            logdir=str(run_path / FOLDER), flush_secs=self._config.flush_seconds, **purge
        )
        self._writer.add_text("recipe", f"{recipe_table.get('name', '')}: {recipe_table.get('description', '')}", 0)

    def row(self, row: Mapping[str, float]) -> None:
        for name, figure in row.items():
            if name != "step":
                self._writer.add_scalar(_tag(name), figure, int(row["step"]))

    def event(self, event: Mapping[str, Any]) -> None:
        text = f"**{event['severity']}** {event['name']}: {event['message']}"
        self._writer.add_text("events", text, int(event["step"] or 0))

    def end(self, verdict: Mapping[str, Any] | None) -> None:
        if verdict is not None:
            self._writer.add_text("verdict", f"**{verdict['outcome']}** {verdict['reason']}", 0)
        self._writer.close()


def _tag(name: str) -> str:
    """TensorBoard groups by what stands before the first slash."""
    return name.replace(".", "/", 1)
