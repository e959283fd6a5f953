"""Embeddings that are all alike, or use few directions: collapsed to one, or stuck at a handful.

The effective rank is the exponential of the entropy of the covariance's normalised eigenvalues (RankMe,
arXiv:2210.02885); below 2, less than two directions carry all differences between embeddings. It does not see how
large these are: where all embeddings are one vector but for a thousandth, their rank is that of the thousandth. The
standard deviation of unit vectors does (arXiv:2011.10566): it is 1/√P where they point evenly into P dimensions, 0
where they are equal.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from jepa_plugins.scenarios.timing import TRAINED, settled

SIDES = ("context", "target")
_SPREADING = ("sigreg", "vicreg")
"""Kinds of losses that spread embeddings apart."""


@attrs.frozen(kw_only=True)
class RankCollapseConfig:
    """Context or target embeddings are nearly equal, or differ along hardly more than one direction."""

    kind: ClassVar[str] = "rank_collapse"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    rank: float = setting("collapsed below this effective rank", default=2.0, above=1)
    of_highest: float = setting("or below this share of its highest level", default=0.25, at_least=0, below=1)
    spread: float = setting(
        "or where their standard deviation is below this share of that of evenly spread directions",
        default=0.02,
        at_least=0,
        below=1,
    )

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        nearly_equal = self.spread / math.sqrt(facts.recipe["projector"]["dim"])
        return tuple(
            Scenario(
                id=f"{self.kind}.{side}",
                title=f"The {side} embeddings collapse",
                when=f"(rank.{side} < {self.rank:g} or rank.{side} < {self.of_highest:g} * highest(rank.{side}, 3) "
                f"or std.{side} < {nearly_equal:.2g}) and {TRAINED}",
                severity="critical",
                after_epoch=settled(facts, 5),
                advice=_remedy(facts),
            )
            for side in SIDES
        )


@attrs.frozen(kw_only=True)
class RankStuckConfig:
    """The effective rank stays low and does not grow."""

    kind: ClassVar[str] = "rank_stuck"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    looks: int = setting("diagnostics over which it does not grow", default=5, at_least=2, at_most=100)
    growth: float = setting("least growth over them, as a share", default=0.1, above=0)
    of_dimensions: float = setting("low is below this share of the projection's", default=0.02, above=0, at_most=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        low = max(3.0, self.of_dimensions * facts.recipe["projector"]["dim"])
        return tuple(
            Scenario(
                id=f"{self.kind}.{side}",
                title=f"The rank of the {side} embeddings is stuck",
                when=f"max(rank.{side}, {self.looks}) < {low:g} and "
                f"max(rank.{side}, {self.looks}) < {1 + self.growth:g} * min(rank.{side}, {self.looks}) and {TRAINED}",
                after_epoch=settled(facts, 5),
                advice=_remedy(facts),
            )
            for side in SIDES
        )


def _remedy(facts: ScenarioFacts) -> str:
    losses = facts.recipe["losses"].items()
    there = [f"losses.{name}.weight" for name, table in losses if table.get("kind", name) in _SPREADING]
    if there:
        return f"Raise {' or '.join(there)}: that spreads embeddings apart."
    return f"Add a loss that spreads embeddings apart: {' or '.join(_SPREADING)}."
