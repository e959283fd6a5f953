"""Which tables a recipe has, and who owns them: a family of components, or the engine."""

from __future__ import annotations

from typing import Any

import attrs

from jepa_core.recipe.tables import (
    Augmentation,
    Checkpointing,
    Diagnostics,
    Optimizer,
    Projector,
    Schedule,
    Target,
    Train,
)
from jepa_core.watch.rules import Watch


@attrs.frozen
class ComponentTable:
    """A table that belongs to the component it names in `kind`."""

    family: str
    default_kind: str | None
    """None: the recipe must name one."""


COMPONENT_TABLES: dict[str, ComponentTable] = {
    "data": ComponentTable("dataset", None),
    "encoder": ComponentTable("encoder", None),
    "quantizer": ComponentTable("quantizer", "none"),
    "aggregator": ComponentTable("aggregator", "mean"),
    "predictor": ComponentTable("predictor", "identity"),
}

ENGINE_TABLES: dict[str, type[Any]] = {
    "augmentation": Augmentation,
    "projector": Projector,
    "target": Target,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "train": Train,
    "diagnostics": Diagnostics,
    "checkpoint": Checkpointing,
    "watch": Watch,
}

TEXT_KEYS = ("name", "description")
"""Top-level keys with text; a child recipe does not inherit them."""

LOSSES = "losses"
LOSS_KEYS = ("kind", "weight")
"""Keys of a `[losses.NAME]` table that belong to every loss."""

OBSERVERS = "observers"

NAMED_TABLES: dict[str, str] = {LOSSES: "loss", OBSERVERS: "observer"}
"""Tables of tables, each a component of the family: its kind is its own name where it gives none."""

RULE_LISTS = ("must", "nice", "abort", "rollback", "scenario")
"""Arrays below `watch` that merge by `id`."""

RESERVED_LOSS_NAMES = frozenset({"total", "quantizer", "encoder", "aggregator", "predictor", "projector"})
"""Names that metrics such as `loss.total` and `moved.encoder` already have."""


def all_keys() -> tuple[str, ...]:
    """Every key that may stand at the top of a recipe."""
    return ("extends", *TEXT_KEYS, *COMPONENT_TABLES, *NAMED_TABLES, *ENGINE_TABLES)
