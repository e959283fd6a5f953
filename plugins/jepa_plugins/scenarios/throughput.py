"""Training that has become much slower than it was."""

from __future__ import annotations

from typing import ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario


@attrs.frozen(kw_only=True)
class ThroughputDroppedConfig:
    """Fewer samples a second than the run has shown that it can do."""

    kind: ClassVar[str] = "throughput_dropped"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    of_highest: float = setting("share of the highest level", default=0.5, above=0, below=1)
    rows: int = setting("rows in a row", default=5, at_least=1, at_most=1000)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:  # noqa: ARG002  # the same for every recipe
        rate = "throughput.samples_per_second"
        return (
            Scenario(
                id=self.kind,
                title="Throughput has dropped",
                when=f"max({rate}, {self.rows}) < {self.of_highest:g} * highest({rate}, {self.rows})",
                advice="Something else uses the device or the processor, or the device is throttled by heat.",
            ),
        )
