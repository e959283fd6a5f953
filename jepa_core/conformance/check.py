"""What a check is, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs

from jepa_core.conformance.situations import USUAL, Situation
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import Raised

Outcome = Literal["passed", "failed", "skipped", "not applicable"]


@attrs.frozen(kw_only=True)
class Check:
    """One promise of a contract, and how a breach of it is found."""

    name: str
    """Such as "masked-slots"."""
    promise: str
    """One sentence about a component that passes."""
    families: frozenset[str]
    run: Callable[[Trial], None]
    """Raises `Violation` when the promise is broken, `NotApplicable` where it says nothing about the component."""
    situations: tuple[Situation, ...] = (USUAL,)
    least_batch: int = 1
    """Sequences that the check needs to say anything."""
    of_class: bool = False
    """Whether it looks at the configuration class alone: once, without a batch."""


@attrs.frozen(kw_only=True)
class Example:
    """The smallest trial found that shows a breach: all that it takes to see it again."""

    variant: str
    """The setting that differs from the defaults, such as "queries=all"; empty when none does."""
    situation: str
    seed: int
    """The component is built under this seed; the batch is drawn under the next, the call made under the one after."""
    shapes: dict[str, tuple[int, ...]]
    """Input → its shape, in the last batch drawn."""

    def text(self) -> str:
        """On one line."""
        shapes = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        return " · ".join(filter(None, (self.variant, self.situation, f"seed {self.seed}", shapes)))


@attrs.frozen(kw_only=True)
class CheckResult:
    """What came of one check of one component."""

    check: str
    promise: str
    outcome: Outcome
    message: str = ""
    """What is wrong, or why the check does not apply, or could not be made."""
    example: Example | None = None
    remedy: str = ""
    """What to do about it; empty where it passed, or where the message says it."""
    raised: Raised | None = None
    """What the component raised, where it failed by that."""

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"

    def text(self) -> str:
        """All of it, for an error message."""
        example = "" if self.example is None else f"\nsmallest example: {self.example.text()}"
        remedy = f"\nwhat to do: {self.remedy}" if self.remedy else ""
        return f"{self.check}: {self.outcome}: {self.message}\npromised: {self.promise}{remedy}{example}"

    def as_data(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return attrs.asdict(self)
