"""Validation that gets worse again, or never gets better than comparing cells."""

from __future__ import annotations

from typing import ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from jepa_plugins.scenarios.timing import TRAINED, settled


@attrs.frozen(kw_only=True)
class ValidationDegradesConfig:
    """Much of what was gained on validation is lost again."""

    kind: ClassVar[str] = "validation_degrades"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    lost: float = setting("share of the gain since the first validation", default=0.2, above=0)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        loss, mrr = "val.loss.total", "val.retrieval.mrr"
        return (
            self._of(loss, f"{loss} - min({loss}) > {self.lost:g} * (first({loss}) - min({loss}))", facts),
            self._of(mrr, f"max({mrr}) - {mrr} > {self.lost:g} * (max({mrr}) - first({mrr}))", facts),
        )

    def _of(self, name: str, when: str, facts: ScenarioFacts) -> Scenario:
        return Scenario(
            id=f"{self.kind}.{name}",
            title=f"{name} degrades from its best",
            when=f"{when} and {TRAINED}",
            after_epoch=settled(facts, 5),
            advice="Use the best checkpoint, and look what changed since: a growing loss term, a revival of codes, or "
            "too many epochs.",
        )


@attrs.frozen(kw_only=True)
class BelowCellCountingConfig:
    """Retrieval on validation is worse than counting equal cells, which learns nothing."""

    kind: ClassVar[str] = "below_cell_counting"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    after: float = setting("share of the run after which it is judged", default=0.5, at_least=0, below=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        return (
            Scenario(
                id=self.kind,
                title="Retrieval is worse than counting cells",
                # Counting cells gives the same figure at every validation: only a row with retrieval is judged.
                when=f"val.retrieval.mrr < first(val.retrieval.baseline_mrr) and {TRAINED}",
                after_epoch=self.after * facts.recipe["train"]["epochs"],
                advice="The loss may fall all the same: what the embedding is for is not learned. Compare with "
                'quantizer.kind = "none", and look at the predictor and the projector.',
            ),
        )
