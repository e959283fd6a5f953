"""A registry of a few small configurations, for tests of reading recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import attrs

from jepa_core.contracts import Space
from jepa_core.metrics import Metric
from jepa_core.registry import BrokenPlugin, Component, Registry
from jepa_core.settings import setting
from jepa_plugins.grids.space import GridSpace


@attrs.frozen(kw_only=True)
class Built:
    """A component that needs no building."""

    kind: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]] = ()
    space: ClassVar[type[Space]] = GridSpace

    def build(self, facts: Any) -> Any:
        return self


@attrs.frozen(kw_only=True)
class GridsConfig(Built):
    """Grids from a file.

    More words that are not the summary.
    """

    kind = "grids"
    path: Path | None = setting("file to read", default=None)
    context_length: int = setting("grids before the target", default=3, at_least=1, unit="grids")


@attrs.frozen(kw_only=True)
class OtherGridsConfig(Built):
    """Grids out of nothing."""

    kind = "other_grids"
    sequences: int = setting("how many", default=10, at_least=1)


@attrs.frozen(kw_only=True)
class Shift:
    """One shift."""

    by: int = setting("cells", at_least=0)
    wrap: bool = setting("come in at the other side", default=False)


@attrs.frozen(kw_only=True)
class CellsConfig(Built):
    """Cells as tokens."""

    kind = "cells"
    width: int = setting("embedding dimension", default=8, at_least=1)
    levels: tuple[int, ...] = setting("levels of each dimension", default=(4, 4), at_least=2)
    corner: tuple[int, float] = setting("row and column", default=(0, 0.5))
    shifts: list[Shift] = setting("shifts to try", factory=list)
    limit: int | Literal["auto"] = setting("tokens at most", default="auto")
    start: Literal["data", "random"] = setting("where codes start", default="data", choices=("data", "random"))
    names: dict[str, float] = setting("weights by name", factory=dict)
    unfit: str = setting(
        "what to do with it",
        default="raise",
        choices=("raise", "nan", "inf", "true", "1", "2026-01-01"),
    )
    words: tuple[str, ...] = setting("words to leave out", default=())


@attrs.frozen(kw_only=True)
class NoneConfig(Built):
    """No codes."""

    kind = "none"


@attrs.frozen(kw_only=True)
class CodesConfig(Built):
    """A codebook."""

    kind = "codes"
    codes: int = setting("size of the codebook", at_least=2)
    decay: float = setting("decay of the moving average", default=0.99, above=0, below=1)


@attrs.frozen(kw_only=True)
class MeanConfig(Built):
    """Mean over time."""

    kind = "mean"


@attrs.frozen(kw_only=True)
class AttentionConfig(Built):
    """Attention over time."""

    kind = "attention"
    heads: int = setting("attention heads", default=2, at_least=1)


@attrs.frozen(kw_only=True)
class RecencyConfig(Built):
    """Weights that fall with age."""

    kind = "recency"
    half_life: float = setting("age of half the weight", default=1.0, above=0, unit="grids")


@attrs.frozen(kw_only=True)
class IdentityConfig(Built):
    """No predictor."""

    kind = "identity"


@attrs.frozen(kw_only=True)
class ContrastConfig(Built):
    """Contrast with other targets."""

    kind = "contrast"
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("temperature", "divisor of similarities", minimum=0),)
    low: float = setting("lowest temperature", default=0.05, above=0)
    high: float = setting("highest temperature", default=0.2, above=0)

    def __attrs_post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low is {self.low:g}, above high, {self.high:g}")


@attrs.frozen(kw_only=True)
class RelationalConfig(Built):
    """Distances between objects."""

    kind = "relational"
    context_self_weight: float = setting("weight within the context", default=0.01, at_least=0)


FAMILIES: dict[str, list[type[Built]]] = {
    "dataset": [GridsConfig, OtherGridsConfig],
    "encoder": [CellsConfig],
    "quantizer": [NoneConfig, CodesConfig],
    "aggregator": [MeanConfig, AttentionConfig, RecencyConfig],
    "predictor": [IdentityConfig],
    "loss": [ContrastConfig, RelationalConfig],
}


def small_registry(broken: tuple[BrokenPlugin, ...] = ()) -> Registry:
    """All of the above; `recency` comes from another distribution."""
    components = [
        Component(
            family=family,
            name=config.kind,
            config_class=config,
            distribution="jepa-recency" if config is RecencyConfig else "jepa-core",
            version="0.2" if config is RecencyConfig else "0.1.0",
        )
        for family, configs in FAMILIES.items()
        for config in configs
    ]
    return Registry(components={(c.family, c.name): c for c in components}, broken=broken)
