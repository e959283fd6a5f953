"""Which tables of a recipe belong to components, and how the others merge. The engine's own are in `engine_tables`."""

from __future__ import annotations

import re

import attrs


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

TEXT_KEYS = ("name", "description")
"""Top-level keys with text; a child recipe does not inherit them."""

RECIPE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names that a recipe may have, so that its run directories can begin with it."""

LOSSES = "losses"
OBSERVERS = "observers"
NULLS = "nulls"
UNTRAINED = "untrained"
"""The engine's own null: the run's network before training. It can only be switched off."""

AUGMENTATION = "augmentation"

NAMED_TABLES: dict[str, str] = {AUGMENTATION: "augmentation", LOSSES: "loss", NULLS: "null", OBSERVERS: "observer"}
"""Tables of tables, each a component of the family: its kind is its own name where it gives none."""

RULE_LISTS = ("must", "nice", "abort", "rollback", "scenario")
"""Arrays below `watch` that merge by `id`."""

RESERVED_LOSS_NAMES = frozenset({"total", "quantizer", "encoder", "aggregator", "predictor", "projector"})
"""Names that metrics such as `loss.total` and `moved.encoder` already have."""
