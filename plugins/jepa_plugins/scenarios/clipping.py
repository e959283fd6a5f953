"""Clipping that is always on: then the limit sets the size of the steps, and not the gradient."""

from __future__ import annotations

from typing import ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from jepa_plugins.scenarios.timing import settled


@attrs.frozen(kw_only=True)
class ClippingSaturatedConfig:
    """The gradient is clipped at nearly every step."""

    kind: ClassVar[str] = "clipping_saturated"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    share: float = setting("of steps that are clipped", default=0.95, above=0, below=1)
    above_limit: float = setting(
        "how far above the limit the mean norms are, where the share is not recorded", default=2.0, at_least=1
    )
    rows: int = setting("rows in a row", default=5, at_least=1, at_most=1000)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        limit = facts.recipe["train"].get("clip_norm")
        if limit is None:
            return ()
        norms = f"min(grad.norm, {self.rows}) > {self.above_limit * limit:g}"
        return (
            Scenario(
                id=self.kind,
                title="Clipping is always on",
                when=f"mean(grad.clipped, {self.rows}) > {self.share:g} or {norms}",
                after_epoch=settled(facts, 2),
                advice=f"Gradients far above train.clip_norm = {limit:g} all count the same. Raise the limit to the "
                "norms seen, or find the loss that makes them.",
            ),
        )
