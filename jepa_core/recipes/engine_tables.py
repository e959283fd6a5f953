"""The tables of a recipe that the engine owns, by name; and with the components' every key that a recipe has.

Apart from the layout of the others, which readers that load no torch need too.
"""

from __future__ import annotations

from typing import Any

from jepa_core.recipes.layout import COMPONENT_TABLES, NAMED_TABLES, TEXT_KEYS
from jepa_core.recipes.tables import (
    Checkpointing,
    Diagnostics,
    Optimizer,
    Projector,
    Schedule,
    Target,
    Train,
)
from jepa_core.watch.rules import Watch

ENGINE_TABLES: dict[str, type[Any]] = {
    "projector": Projector,
    "target": Target,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "train": Train,
    "diagnostics": Diagnostics,
    "checkpoint": Checkpointing,
    "watch": Watch,
}


def all_keys() -> tuple[str, ...]:
    """Every key that may stand at the top of a recipe."""
    return ("extends", *TEXT_KEYS, *COMPONENT_TABLES, *NAMED_TABLES, *ENGINE_TABLES)
