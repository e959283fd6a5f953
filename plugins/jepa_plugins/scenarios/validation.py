"""Validation that gets worse again, or never gets better than what learns nothing."""

from __future__ import annotations

from typing import ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from jepa_plugins.scenarios.codebook import has_codes, revives
from jepa_plugins.scenarios.level import RECENT, now
from jepa_plugins.scenarios.timing import TRAINED, settled

SURELY = 8
"""Spreads that a gain must exceed before any of it can be lost."""


@attrs.frozen(kw_only=True)
class ValidationDegradesConfig:
    """Much of what was gained on validation is lost again."""

    kind: ClassVar[str] = "validation_degrades"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    lost: float = setting("share of the gain since the first validation", default=0.2, above=0)
    scatter: int = setting("validations that say how far they scatter", default=20, at_least=8, at_most=1000)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        loss, mrr = "val.loss.total", "val.retrieval.mrr"
        return (
            self._of(loss, now(loss), f"lowest({loss}, {RECENT})", facts),
            self._of(mrr, f"highest({mrr}, {RECENT})", now(mrr), facts),
        )

    def _of(self, name: str, higher: str, lower: str, facts: ScenarioFacts) -> Scenario:
        """`higher` less `lower` is what was lost; both gain and loss lie well outside of how validations scatter."""
        lost, scatter = f"{higher} - {lower}", f"spread({name}, {self.scatter})"
        best = lower if "lowest" in lower else higher
        gain = f"first({name}) - {best}" if best is lower else f"{best} - first({name})"
        when = f"{lost} > {self.lost:g} * ({gain}) and {gain} > {SURELY} * {scatter} and {lost} > 2 * {scatter}"
        return Scenario(
            id=f"{self.kind}.{name}",
            title=f"{name} degrades from its best",
            when=f"{when} and {TRAINED}",
            after_epoch=settled(facts, 5),
            evaluations=3,
            advice=f"Use the best checkpoint, and look what changed since: a growing loss term, "
            f"{'a revival of codes, ' if revives(facts) else ''}or too many epochs.",
        )


@attrs.frozen(kw_only=True)
class BelowStrongestNullConfig:
    """Retrieval on validation is worse than the strongest method that learns nothing."""

    kind: ClassVar[str] = "below_strongest_null"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    after: float = setting("share of the run after which it is judged", default=0.5, at_least=0, below=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        return (
            Scenario(
                id=self.kind,
                title="Retrieval is worse than the strongest null",
                when=f"val.retrieval.mrr < val.retrieval.null_mrr and {TRAINED}",
                after_epoch=self.after * facts.recipe["train"]["epochs"],
                advice=f"The loss may fall all the same: what the embedding is for is not learned. {_remedy(facts)}",
            ),
        )


def _remedy(facts: ScenarioFacts) -> str:
    """The plainest thing that the recipe leaves to try."""
    if has_codes(facts):
        return 'Compare with quantizer.kind = "none", and look at the predictor and the projector.'
    if facts.recipe["predictor"]["kind"] == "identity":
        return 'Compare with predictor.kind = "mlp", and with an aggregator that sees the order of the context.'
    seen = "data.context_length" if "context_length" in facts.recipe["data"] else "the context"
    return f"Train with more data, longer where it still rises; look whether {seen} holds what the target hangs on."
