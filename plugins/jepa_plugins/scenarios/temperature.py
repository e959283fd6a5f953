"""A learned temperature at one of its bounds: it wants to go further and cannot."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from jepa_plugins.scenarios.timing import settled


@attrs.frozen(kw_only=True)
class TemperatureAtBoundConfig:
    """The temperature of the contrast lies at one of its bounds."""

    kind: ClassVar[str] = "temperature_at_bound"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    within: float = setting("at a bound is within this share of it", default=0.01, at_least=0, below=1)
    evaluations: int = setting("rows in a row", default=3, at_least=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        learned = [(name, table) for name, table in facts.recipe["losses"].items() if table.get("learn_temperature")]
        if len(learned) != 1 or "temperature" not in facts.metrics:
            return ()
        ((name, table),) = learned
        lowest, highest = table.get("temperature_min"), table.get("temperature_max")
        if lowest is None or highest is None or lowest >= highest:
            return ()
        low, high = (1 + self.within) * lowest, (1 - self.within) * highest
        return (
            self._at("lower", f"temperature <= {low:g}", name, {"temperature_min": lowest / 2}, facts),
            self._at("upper", f"temperature >= {high:g}", name, {"temperature_max": highest * 2}, facts),
        )

    def _at(self, bound: str, when: str, name: str, change: dict[str, Any], facts: ScenarioFacts) -> Scenario:
        return Scenario(
            id=f"{self.kind}.{bound}",
            title=f"The temperature is at its {bound} bound",
            when=when,
            after_epoch=settled(facts, 1),
            evaluations=self.evaluations,
            set={"losses": {name: change}},
            advice="The bound sets the temperature, and not the training: widen it, or fix the temperature on purpose.",
        )
