"""Weights & Biases: rows, recipe and verdict as one of its runs. Offline unless it can log in.

Files lie in the run directory's `wandb/`; what was recorded offline is sent later by `wandb sync`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import attrs

from jepa_core.facts import ObserverFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.observers.extra import import_extra

Mode = Literal["auto", "online", "offline"]


@attrs.frozen(kw_only=True)
class WandbConfig:
    """A run in Weights & Biases, offline when there is no API key."""

    kind: ClassVar[str] = "wandb"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    project: str = setting("project that the run belongs to", default="jepa")
    entity: str | None = setting("user or team; the account's own when not given", default=None)
    mode: Mode = setting(
        "auto: online when WANDB_API_KEY is set, else offline", default="auto", choices=("auto", "online", "offline")
    )

    def build(self, facts: ObserverFacts) -> Wandb:
        return Wandb(self, facts, import_extra("wandb", "wandb"))


class Wandb:
    """Keeps one run of the library open. A resumed run goes on under the same identifier."""

    def __init__(self, config: WandbConfig, facts: ObserverFacts, library: Any) -> None:
        self._config = config
        self._facts = facts
        self._library = library
        self._run: Any = None

    def start(self, run_path: Path, recipe_table: Mapping[str, Any]) -> None:
        self._run = self._library.init(
            project=self._config.project,
            entity=self._config.entity,
            name=run_path.name,
            id=_identifier(run_path),
            resume="allow" if self._facts.resumed_at is not None else None,
            mode=self._mode(),
            dir=str(run_path),
            config=dict(recipe_table),
            # The run directory has the console's output already, and the terminal belongs to the training screen.
            settings=self._library.Settings(console="off", silent=True, save_code=False),
        )

    def row(self, row: Mapping[str, float]) -> None:
        self._run.log(dict(row), step=int(row["step"]))

    def event(self, event: Mapping[str, Any]) -> None:
        if event["severity"] != "info":
            self._run.alert(title=event["name"], text=event["message"], level=_LEVELS[event["severity"]])

    def end(self, verdict: Mapping[str, Any] | None) -> None:
        if verdict is not None:
            self._run.summary["verdict"] = verdict["outcome"]
        self._run.finish(exit_code=0 if verdict is None else verdict["exit_code"])

    def _mode(self) -> str:
        if self._config.mode != "auto":
            return self._config.mode
        return "online" if os.environ.get("WANDB_API_KEY") else "offline"


_LEVELS = {"warning": "WARN", "critical": "ERROR"}


def _identifier(run_path: Path) -> str:
    """The same for a run each time that it is resumed."""
    return hashlib.sha256(str(run_path.resolve()).encode()).hexdigest()[:16]
