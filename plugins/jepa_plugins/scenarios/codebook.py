"""What goes wrong with a codebook: it collapses, it wastes away, or a revival of dead codes is a shock to it.

Judged by the share of codes in use against what the same run has shown before, since what is usual depends on the
codebook's size and the data.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario
from jepa_plugins.scenarios.timing import settled


@attrs.frozen(kw_only=True)
class CodebookCollapseConfig:
    """Most of the codes that were in use no longer are."""

    kind: ClassVar[str] = "codebook_collapse"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    of_highest: float = setting("collapsed below this share of the highest use", default=0.25, above=0, below=1)
    usage: float = setting("and with fewer than this share of all codes in use", default=0.1, above=0, at_most=1)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        if not has_codes(facts):
            return ()
        return (
            Scenario(
                id=self.kind,
                title="Codebook collapse",
                when=f"vq.usage < {self.of_highest:g} * max(vq.usage) and vq.usage < {self.usage:g}",
                severity="critical",
                after_epoch=settled(facts, 1),
                set=_fewer_revivals(facts),
                advice=_remedies(
                    facts,
                    decay="Lower quantizer.decay so that codes follow their tokens.",
                    revival="Revive a few dead codes often instead of many at once.",
                ),
            ),
            Scenario(
                id=f"{self.kind}.perplexity",
                title="All tokens fall on one code",
                when="vq.perplexity < 2",
                severity="critical",
                after_epoch=settled(facts, 1),
                set=_fewer_revivals(facts),
                advice="Look whether the embeddings differ at all (rank.context). "
                + _remedies(facts, decay="If they do, lower quantizer.decay."),
            ),
        )


@attrs.frozen(kw_only=True)
class CodebookSlideConfig:
    """Codes fall out of use little by little."""

    kind: ClassVar[str] = "codebook_slide"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    of_highest: float = setting("mean use below this share of the highest level", default=0.5, above=0, below=1)
    looks: int = setting("diagnostics that the mean and the slope are taken over", default=5, at_least=3, at_most=100)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        if not has_codes(facts):
            return ()
        mean, slope = f"mean(vq.usage, {self.looks})", f"slope(vq.usage, {self.looks})"
        return (
            Scenario(
                id=self.kind,
                title="Codebook use slides",
                when=f"{mean} < {self.of_highest:g} * highest(vq.usage, {self.looks}) and {slope} < 0",
                after_epoch=settled(facts, 2),
                set=_fewer_revivals(facts),
                advice=_remedies(
                    facts, revival="Nothing brings dead codes back: revive a few of them every few steps."
                ),
            ),
        )


@attrs.frozen(kw_only=True)
class CodebookShockConfig:
    """Use of the codes drops at a blow, as after a revival of many codes at once."""

    kind: ClassVar[str] = "codebook_shock"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    kept: float = setting("a shock leaves less than this share of the codes in use", default=0.5, above=0, below=1)
    looks: int = setting("diagnostics within which it happens", default=3, at_least=2, at_most=100)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        if not has_codes(facts):
            return ()
        return (
            Scenario(
                id=self.kind,
                title="Shock to the codebook",
                # What is usual before it says how far use scatters anyway.
                when=f"vq.usage < {self.kept:g} * max(vq.usage, {self.looks}) - spread(vq.usage, 8, {self.looks})",
                after_epoch=settled(facts, 2),
                set=_fewer_revivals(facts),
                advice=_remedies(
                    facts, revival="If codes were revived just before, revive fewer at a time, more often."
                ),
            ),
        )


def has_codes(facts: ScenarioFacts) -> bool:
    """Whether there is a codebook."""
    return bool(facts.recipe["quantizer"]["kind"] != "none")


def revives(facts: ScenarioFacts) -> bool:
    """Whether the quantizer brings dead codes back."""
    return bool(facts.recipe["quantizer"].get("revive_every"))


def _remedies(facts: ScenarioFacts, *, decay: str = "", revival: str = "") -> str:
    """What can be done about its codes, by the fields that the quantizer has."""
    quantizer = facts.recipe["quantizer"]
    said = [decay if "decay" in quantizer else "", revival if "revive_every" in quantizer else ""]
    other = 'Give it fewer codes, or compare with quantizer.kind = "none".'
    return " ".join(filter(None, said)) or other


def _fewer_revivals(facts: ScenarioFacts) -> dict[str, Any]:
    """A few codes at a time, every few steps; nothing where the quantizer revives none or does so already."""
    quantizer = facts.recipe["quantizer"]
    every, at_most = quantizer.get("revive_every"), quantizer.get("revive_at_most")
    if every is None or at_most is None or (every <= 20 and 0 < at_most <= 8):
        return {}
    return {"quantizer": {"revive_every": 20, "revive_at_most": 8}}
