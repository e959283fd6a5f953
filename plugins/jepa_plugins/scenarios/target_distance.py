"""The EMA target at the wrong distance: equal to the online network, or left behind by it.

Without a lag there is nothing that keeps a joint embedding from collapsing (BYOL, arXiv:2006.07733); far behind, it is
no average of the online network any more.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from jepa_plugins.scenarios.timing import settled


@attrs.frozen(kw_only=True)
class TargetEqualConfig:
    """The target network equals the online network."""

    kind: ClassVar[str] = "target_equal"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    distance: float = setting("equal below this relative distance of the weights", default=1e-6, above=0)
    looks: int = setting("diagnostics in a row", default=3, at_least=1, at_most=100)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        return (
            Scenario(
                id=self.kind,
                title="The target equals the online network",
                when=f"max(target.distance, {self.looks}) < {self.distance:g}",
                after_epoch=settled(facts, 1),
                set={"target": {"ema_decay": 0.99}} if facts.recipe["target"]["ema_decay"] < 0.5 else {},
                advice="Raise target.ema_decay; if that is high, the encoder is not learning: look at optimizer.lr.",
            ),
        )


@attrs.frozen(kw_only=True)
class TargetDriftsConfig:
    """The online network moves away from its target faster than the target follows."""

    kind: ClassVar[str] = "target_drifts"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    distance: float = setting("far above this relative distance of the weights", default=0.5, above=0)
    looks: int = setting("diagnostics in a row, all farther than as many before", default=3, at_least=2, at_most=100)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        far = f"min(target.distance, {self.looks}) > {self.distance:g}"
        return (
            Scenario(
                id=self.kind,
                title="The target drifts away from the online network",
                when=f"{far} and min(target.distance, {self.looks}) > max(target.distance, {self.looks}, {self.looks})",
                after_epoch=settled(facts, 2),
                set={"target": {"ema_decay": 0.99}} if facts.recipe["target"]["ema_decay"] > 0.99 else {},
                advice="Lower target.ema_decay so that the target follows, or lower optimizer.lr.",
            ),
        )
