"""An aggregator that makes nothing of time: its weights are uniform, or the order of the context moves nothing.

Aggregators that leave time out on purpose (`mean`, and a context of one observation) are not watched.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from jepa_plugins.scenarios.timing import TRAINED, settled


@attrs.frozen(kw_only=True)
class AttentionUniformConfig:
    """The aggregator weighs all observations of the context alike."""

    kind: ClassVar[str] = "attention_uniform"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    entropy: float = setting("uniform above this share of the highest entropy", default=0.99, above=0, below=1)
    order: float = setting(
        "where the state depends on time without the weights, too: uniform only if the order moves it less than this",
        default=0.1,
        above=0,
    )
    looks: int = setting("diagnostics in a row", default=3, at_least=1, at_most=100)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        if not _uses_time(facts):
            return ()
        # Others add what attention finds to a state that depends on time already, and their values tell places apart:
        # even weights do no harm there as long as the order moves the state.
        is_mean = facts.recipe["aggregator"]["kind"] == "attention"
        by_order = "" if is_mean else f" and max(order.sensitivity, {self.looks}) < {self.order:g}"
        same = "The mean over time would give the same, with nothing to learn." if is_mean else ""
        return (
            Scenario(
                id=self.kind,
                title="The weights over time are uniform",
                when=f"min(attention.entropy, {self.looks}) > {self.entropy:g}{by_order} and {TRAINED}",
                after_epoch=settled(facts, 5),
                set={"aggregator": {"kind": "mean"}} if is_mean else {},
                advice=f"{same} {_all_alike(facts)}".strip(),
            ),
        )


@attrs.frozen(kw_only=True)
class OrderIgnoredConfig:
    """The order of the context observations makes no difference to the state."""

    kind: ClassVar[str] = "order_ignored"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    sensitivity: float = setting("ignored below this relative move of the state", default=0.01, above=0)
    looks: int = setting("diagnostics in a row", default=3, at_least=1, at_most=100)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        if not _uses_time(facts):
            return ()
        return (
            Scenario(
                id=self.kind,
                title="The order of the context is ignored",
                when=f"max(order.sensitivity, {self.looks}) < {self.sensitivity:g} and {TRAINED}",
                after_epoch=settled(facts, 5),
                advice=f"The aggregator does not use time. {_all_alike(facts)}",
            ),
        )


def _uses_time(facts: ScenarioFacts) -> bool:
    recipe = facts.recipe
    return bool(recipe["aggregator"]["kind"] != "mean" and recipe["data"].get("context_length") != 1)


def _all_alike(facts: ScenarioFacts) -> str:
    where = ": see data.short_context" if "short_context" in facts.recipe["data"] else ""
    return f"If all observations of a context are alike there is nothing to tell apart{where}."
