"""Loss terms out of balance: one takes over, one explodes against its own minimum, one is dead.

Each is judged against its own past, since scales of losses cannot be compared. Terms of weight 0 are left out.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from jepa_plugins.scenarios.timing import TRAINED, settled


@attrs.frozen(kw_only=True)
class LossTakesOverConfig:
    """A loss term has grown to most of the objective, or of the gradient."""

    kind: ClassVar[str] = "loss_takes_over"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    share: float = setting("of the objective or the gradient", default=0.5, above=0, below=1)
    growth: float = setting("against its lowest value, or its first share of the gradient", default=2.0, above=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        terms = weighted_terms(facts)
        if len(terms) < 2:
            return ()
        heaviest = max(term["weight"] for term in terms.values())
        lighter = {name: term for name, term in terms.items() if term["weight"] < heaviest}
        return (
            *(self._in_the_objective(name, term, facts) for name, term in terms.items()),
            *(self._in_the_gradient(name, term, facts) for name, term in lighter.items()),
        )

    def _in_the_objective(self, name: str, term: dict[str, Any], facts: ScenarioFacts) -> Scenario:
        loss = f"loss.{name}"
        return Scenario(
            id=f"{self.kind}.{name}",
            title=f"The loss {name} takes over",
            when=f"{loss} > {self.share:g} * loss.total and {_grown(loss, self.growth)}",
            after_epoch=settled(facts, 1),
            set=_gentler(name, term),
            advice=f"Lower losses.{name}.weight, or keep the scale that it grows with in check.",
        )

    def _in_the_gradient(self, name: str, term: dict[str, Any], facts: ScenarioFacts) -> Scenario:
        share = f"grad.share.{name}"
        return Scenario(
            id=f"{self.kind}.{name}.gradient",
            title=f"The loss {name} takes over the gradient",
            when=f"{share} > {self.share:g} and {share} > {self.growth:g} * first({share})",
            after_epoch=settled(facts, 1),
            evaluations=2,
            set=_gentler(name, term),
            advice=f"Lower losses.{name}.weight: the encoder follows mostly this term.",
        )


@attrs.frozen(kw_only=True)
class LossExplodesConfig:
    """A loss has grown to a multiple of its own minimum."""

    kind: ClassVar[str] = "loss_explodes"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    growth: float = setting("of a term, against its lowest value", default=3.0, above=1)
    share: float = setting("of the objective below which a term does not matter", default=0.1, at_least=0, below=1)
    total_growth: float = setting("of the whole loss, which is above its start too", default=2.0, above=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        return (
            *(self._whole(name) for name in ("loss.total", "val.loss.total")),
            *(self._term(name, term, facts) for name, term in weighted_terms(facts).items()),
        )

    def _whole(self, name: str) -> Scenario:
        return Scenario(
            id=f"{self.kind}.{name}",
            title=f"{name} spikes",
            when=f"{name} > first({name}) and {_grown(name, self.total_growth)}",
            severity="critical",
            advice="Go back to a checkpoint from before it, with a lower optimizer.lr; look which term grew.",
        )

    def _term(self, name: str, term: dict[str, Any], facts: ScenarioFacts) -> Scenario:
        loss = f"loss.{name}"
        return Scenario(
            id=f"{self.kind}.{name}",
            title=f"The loss {name} explodes",
            when=f"{loss} > {self.share:g} * loss.total and {_grown(loss, self.growth)}",
            after_epoch=settled(facts, 1),
            set=_gentler(name, term),
            advice=f"Lower losses.{name}.weight, or normalise what it compares.",
        )


@attrs.frozen(kw_only=True)
class LossDeadConfig:
    """A loss term stays the same whatever the model does."""

    kind: ClassVar[str] = "loss_dead"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    spread: float = setting("highest less lowest value, as a share of its mean", default=0.02, above=0, below=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        return tuple(self._term(f"loss.{name}", name, facts) for name in weighted_terms(facts))

    def _term(self, loss: str, name: str, facts: ScenarioFacts) -> Scenario:
        return Scenario(
            id=f"{self.kind}.{name}",
            title=f"The loss {name} is dead",
            # The small constant lets a loss that is always 0 count too.
            when=f"max({loss}) - min({loss}) < {self.spread:g} * mean({loss}, 3) + 1e-12 and {TRAINED}",
            after_epoch=settled(facts, 5),
            set={"losses": {name: {"weight": 0.0}}},
            advice="It cannot be trained on what it is given: look at its inputs (a regulariser of spread says nothing "
            "about vectors of unit length), or leave it out.",
        )


def weighted_terms(facts: ScenarioFacts) -> dict[str, dict[str, Any]]:
    """The tables of the losses that count, by name."""
    return {name: dict(table) for name, table in facts.recipe["losses"].items() if table["weight"] > 0}


def _grown(name: str, times: float) -> str:
    """That the newest value is so many times the lowest, where that has a meaning."""
    return f"min({name}) > 0 and {name} > {times:g} * min({name})"


def _gentler(name: str, term: dict[str, Any]) -> dict[str, Any]:
    """Normalised where the term can be and is not, else of half the weight."""
    change = {"normalized": True} if term.get("normalized") is False else {"weight": term["weight"] / 2}
    return {"losses": {name: change}}
