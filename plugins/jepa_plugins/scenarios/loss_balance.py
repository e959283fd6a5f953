"""Losses out of balance: one takes over, one explodes, one leaves the level it had kept, one is dead.

Each is judged against its own past, since scales of losses cannot be compared, and by its level over a few rows, since
single rows are noise. Terms of weight 0 are left out.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from jepa_plugins.scenarios.codebook import revives
from jepa_plugins.scenarios.level import above_lowest, leapt, left, left_on_validation, left_slowly, now
from jepa_plugins.scenarios.timing import TRAINED, settled


@attrs.frozen(kw_only=True)
class LossTakesOverConfig:
    """A loss term has grown to most of the objective, or of the gradient."""

    kind: ClassVar[str] = "loss_takes_over"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    share: float = setting("of the objective or the gradient", default=0.5, above=0, below=1)
    growth: float = setting("against its lowest level", default=2.0, above=1)

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
            when=f"{now(loss)} > {self.share:g} * {now('loss.total')} and {above_lowest(loss, self.growth)}",
            after_epoch=settled(facts, 1),
            set=_gentler(name, term),
            advice=f"Lower losses.{name}.weight, or keep the scale that it grows with in check.",
        )

    def _in_the_gradient(self, name: str, term: dict[str, Any], facts: ScenarioFacts) -> Scenario:
        share = f"grad.share.{name}"
        return Scenario(
            id=f"{self.kind}.{name}.gradient",
            title=f"The loss {name} takes over the gradient",
            when=f"median({share}, 3) > {self.share:g} and median({share}, 3) > {self.growth:g} * lowest({share}, 3)",
            after_epoch=settled(facts, 1),
            evaluations=2,
            set=_gentler(name, term),
            advice=f"Lower losses.{name}.weight: the encoder follows mostly this term.",
        )


@attrs.frozen(kw_only=True)
class LossExplodesConfig:
    """A loss has grown to a multiple of what it was."""

    kind: ClassVar[str] = "loss_explodes"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    growth: float = setting("of a term, against its lowest level", default=3.0, above=1)
    share: float = setting("of the objective below which a term does not matter", default=0.1, at_least=0, below=1)
    total_growth: float = setting("of the whole loss, against its level just before", default=2.0, above=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        times = 1.25 * self.total_growth
        above_first = f"val.loss.total > {times:g} * first(val.loss.total) and first(val.loss.total) > 0"
        return (
            self._whole("loss.total", left("loss.total", self.total_growth)),
            # Validations are few, and each is a mean over the split: one that lies far above the one before counts.
            self._whole("val.loss.total", f"{above_first} and val.loss.total > {times:g} * max(val.loss.total, 1, 1)"),
            *(self._term(name, term, facts) for name, term in weighted_terms(facts).items()),
        )

    def _whole(self, name: str, grown: str) -> Scenario:
        grown_in_all = f"min({name}, 3) > {1.25 * self.total_growth:g} * first({name}) and first({name}) > 0"
        return Scenario(
            id=f"{self.kind}.{name}",
            title=f"{name} spikes",
            # A loss that was learned down to next to nothing may double without harm.
            when=f"(({leapt(name, self.total_growth)}) or ({grown_in_all}) or ({grown})) "
            f"and {name} > 0.1 * first({name})",
            severity="critical",
            advice="Go back to a checkpoint from before it, with a lower optimizer.lr; look which term grew.",
        )

    def _term(self, name: str, term: dict[str, Any], facts: ScenarioFacts) -> Scenario:
        loss = f"loss.{name}"
        return Scenario(
            id=f"{self.kind}.{name}",
            title=f"The loss {name} explodes",
            when=f"{now(loss)} > {self.share:g} * {now('loss.total')} and {above_lowest(loss, self.growth)}",
            after_epoch=settled(facts, 1),
            set=_gentler(name, term),
            advice=f"Lower losses.{name}.weight, or normalise what it compares.",
        )


@attrs.frozen(kw_only=True)
class LevelLeftConfig:
    """A loss or the gradient's norm leaves the level that it had kept."""

    kind: ClassVar[str] = "level_left"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    term: float = setting("growth of a term against its level just before", default=1.3, above=1)
    share: float = setting("of the objective below which a term does not matter", default=0.05, at_least=0, below=1)
    total: float = setting("growth of the whole loss", default=1.2, above=1)
    norm: float = setting("growth of the gradient's norm", default=3.0, above=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        terms = weighted_terms(facts)
        changes = "a term that grows, a revival of codes" if revives(facts) else "a term that grows, the learning rate"
        advice = f"Look what changed there: {changes}. A checkpoint from before it is whole."
        whole = (("loss.total", self.total), ("grad.norm", self.norm))
        return (
            *(self._of(name, name, self._left(name, times), facts, advice=advice) for name, times in whole),
            self._of(
                "val.loss.total",
                "val.loss.total",
                left_on_validation("val.loss.total", self.total),
                facts,
                advice=advice,
            ),
            *(self._of_term(name, term, facts) for name, term in terms.items() if len(terms) > 1),
        )

    def _of_term(self, name: str, term: dict[str, Any], facts: ScenarioFacts) -> Scenario:
        loss = f"loss.{name}"
        matters = f"{now(loss)} > {self.share:g} * {now('loss.total')}"
        advice = f"Lower losses.{name}.weight, or normalise what it compares. A checkpoint from before it is whole."
        when = f"{matters} and ({self._left(loss, self.term)})"
        return self._of(name, f"The loss {name}", when, facts, advice=advice, set=_gentler(name, term))

    def _left(self, name: str, times: float) -> str:
        return f"({left(name, times)}) or ({left_slowly(name, times)})"

    def _of(
        self,
        name: str,
        what: str,
        when: str,
        facts: ScenarioFacts,
        *,
        advice: str,
        set: dict[str, Any] | None = None,  # noqa: A002  # the rule's own name for it
    ) -> Scenario:
        return Scenario(
            id=f"{self.kind}.{name}",
            title=f"{what} leaves its level",
            when=when,
            after_epoch=settled(facts, 1),
            set=set or {},
            advice=advice,
        )


@attrs.frozen(kw_only=True)
class LossDeadConfig:
    """A loss term stays the same whatever the model does."""

    kind: ClassVar[str] = "loss_dead"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    spread: float = setting("highest less lowest value, as a share of its mean", default=0.02, above=0, below=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        terms = weighted_terms(facts)
        return tuple(self._term(f"loss.{name}", name, facts, is_alone=len(terms) == 1) for name in terms)

    def _term(self, loss: str, name: str, facts: ScenarioFacts, *, is_alone: bool) -> Scenario:
        return Scenario(
            id=f"{self.kind}.{name}",
            title=f"The loss {name} is dead",
            # The small constant lets a loss that is always 0 count too.
            when=f"max({loss}) - min({loss}) < {self.spread:g} * mean({loss}, 3) + 1e-12 and {TRAINED}",
            after_epoch=settled(facts, 5),
            # Without the only loss nothing would be trained.
            set={} if is_alone else {"losses": {name: {"weight": 0.0}}},
            advice=_what_kills(name, facts)
            if is_alone
            else "It cannot be trained on what it is given: look at its inputs (a regulariser of spread says nothing "
            "about vectors of unit length), or leave it out.",
        )


def _what_kills(name: str, facts: ScenarioFacts) -> str:
    """Advice on a loss that has none beside it."""
    temperature = f"losses.{name}.temperature, " if "temperature" in facts.recipe["losses"][name] else ""
    return (
        f"It is the only loss, and nothing is learned. Look at {temperature}at optimizer.lr (too high, or next to 0), "
        "at the ranks (embeddings that are all alike give no gradient), and at the scale of the data."
    )


def weighted_terms(facts: ScenarioFacts) -> dict[str, dict[str, Any]]:
    """The tables of the losses that count, by name."""
    return {name: dict(table) for name, table in facts.recipe["losses"].items() if table["weight"] > 0}


def _gentler(name: str, term: dict[str, Any]) -> dict[str, Any]:
    """Normalised where the term can be and is not, else of half the weight."""
    change = {"normalized": True} if term.get("normalized") is False else {"weight": term["weight"] / 2}
    return {"losses": {name: change}}
