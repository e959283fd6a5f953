"""What the text of a rule says by itself, without any row: its metrics, and its limit where that is a number."""

from __future__ import annotations

from functools import lru_cache

import attrs

from jepa_core.watch.closures import Scene
from jepa_core.watch.history import History
from jepa_core.watch.language import RuleError, parse_rule

_CLOCKS = frozenset({"step", "epoch"})


@attrs.frozen(kw_only=True)
class RuleText:
    """A rule, read once."""

    names: frozenset[str] = frozenset()
    """Metrics that it looks at, `step` and `epoch` aside."""
    limit: float | None = None
    """None where the limit is not a number that stands in the rule."""


@lru_cache(maxsize=1024)
def rule_text(when: str) -> RuleText:
    """What `when` says; nothing where it cannot be parsed."""
    try:
        rule = parse_rule(when)
    except RuleError:
        return RuleText()
    reading = rule.reading(Scene(History(rule.names), None, set()))
    return RuleText(names=rule.names - _CLOCKS, limit=reading.limit if reading else None)
