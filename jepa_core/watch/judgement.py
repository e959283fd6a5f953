"""What became of one rule: its state, and the figures that say how clearly."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import attrs

Kind = Literal["must", "nice", "abort", "rollback", "scenario"]
State = Literal["pending", "holding", "failed", "clear", "fired"]
"""pending: not enough data, or not decided before the end. holding, failed: a must or nice. clear, fired: an abort,
a rollback or a scenario."""


@attrs.frozen(kw_only=True)
class Extreme:
    """The value nearest to trouble, and when it was."""

    value: float
    epoch: float
    margin: float | None


@attrs.frozen(kw_only=True)
class Judgement:
    """One rule, judged."""

    id: str
    kind: Kind
    title: str
    when: str
    hold: str = ""
    """always, end or once, for a must or nice."""
    state: State
    value: float | None = None
    """Newest value, of a rule that is one comparison."""
    operator: str = ""
    limit: float | None = None
    margin: float | None = None
    """Distance to the limit relative to the limit: positive on the good side."""
    unit: str = ""
    worst: Extreme | None = None
    """Of a rule that shall hold always."""
    evaluations: int = 0
    """How often there was enough data."""
    epoch: float | None = None
    """When it failed or fired."""
    steps: int | None = None
    """How many the run has, where these are too few for an alarm to be judged at all; None where they are not."""
    steps_needed: int | None = None
    """How many it needs then."""

    @property
    def held(self) -> bool:
        """Whether a must or nice is fulfilled as far as it was judged."""
        return self.state == "holding"

    @property
    def decisive_value(self) -> float | None:
        """The value that decided: the worst one where the rule failed because of it, else the newest."""
        return self.worst.value if self._failed_by_worst and self.worst else self.value

    @property
    def decisive_margin(self) -> float | None:
        """The margin of the decisive value."""
        return self.worst.margin if self._failed_by_worst and self.worst else self.margin

    @property
    def _failed_by_worst(self) -> bool:
        return self.state == "failed" and self.worst is not None


def margin_of(value: float | None, operator: str, limit: float | None) -> float | None:
    """Distance of `value` to `limit` relative to `limit`, positive when `value OP limit` holds; None where that has
    no meaning."""
    sign = {">": 1, "≥": 1, "<": -1, "≤": -1}.get(operator)
    if value is None or limit is None or sign is None or limit == 0:
        return None
    margin = sign * (value - limit) / abs(limit)
    return margin if math.isfinite(margin) else None


def title_of(title: str, rule_id: str) -> str:
    """Words for a rule: its title, else its id as words."""
    return title or rule_id.replace("-", " ").replace("_", " ")


@attrs.frozen(kw_only=True)
class TooShort:
    """Rules that could not be judged at all, since they need more steps than the run has."""

    judgements: tuple[Judgement, ...]
    steps: int
    needed: int

    def describe(self) -> str:
        """Such as "the run has 32 steps, and they need 200"."""
        who = "it needs" if len(self.judgements) == 1 else "they need"
        return f"the run has {self.steps} step{'' if self.steps == 1 else 's'}, and {who} {self.needed}"


def too_short(judgements: Iterable[Judgement]) -> tuple[TooShort, ...]:
    """Those rules, by how many steps they need."""
    found: dict[tuple[int, int], list[Judgement]] = {}
    for judgement in judgements:
        if judgement.steps is not None and judgement.steps_needed is not None:
            found.setdefault((judgement.steps_needed, judgement.steps), []).append(judgement)
    return tuple(
        TooShort(judgements=tuple(each), steps=steps, needed=needed) for (needed, steps), each in sorted(found.items())
    )
