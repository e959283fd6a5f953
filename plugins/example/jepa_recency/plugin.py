"""The plugin behind the entry point `recency`: which component belongs to which family."""

from __future__ import annotations

from jepa_core.hookspecs import hookimpl
from jepa_recency.koleo import KoleoConfig
from jepa_recency.recency import RecencyConfig

JEPA_CONTRACT = 2


@hookimpl
def jepa_aggregators() -> list[type]:
    return [RecencyConfig]


@hookimpl
def jepa_losses() -> list[type]:
    return [KoleoConfig]
