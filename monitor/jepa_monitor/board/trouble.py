"""How near a chart's metrics are to trouble, and the order of the charts that follows from it.

The order is calm: it changes at once when something fails, fires or comes at risk, and else only now and then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs

from jepa_monitor.board.rule_text import rule_text
from jepa_monitor.charts.spec import Tone
from jepa_monitor.model.run_view import Outlook

CALM_SECONDS = 20.0
"""Least time between two changes of order that nothing urgent asks for."""

_NARROW_MARGINS = (0.05, 0.2, 0.5)
"""Margins from which on a chart is one step further from trouble."""
_FAILED, _AT_RISK, _FINE = 0, 1, 2


@attrs.frozen(order=True)
class Trouble:
    """How near: lower is nearer."""

    level: int = _FINE
    margin: int = len(_NARROW_MARGINS)

    @property
    def tone(self) -> Tone | None:
        """The colour of the chart's frame; None when nothing is the matter."""
        return {_FAILED: "bad", _AT_RISK: "warning"}.get(self.level)  # type: ignore[return-value]  # both are tones


NO_TROUBLE = Trouble()

TroubleByName: TypeAlias = Mapping[str, Trouble]


def trouble_by_name(outlooks: Iterable[Outlook]) -> dict[str, Trouble]:
    """Of every metric that a rule looks at, how near it is to trouble."""
    nearest: dict[str, Trouble] = {}
    for outlook in outlooks:
        trouble = _of(outlook)
        for name in _names(outlook):
            nearest[name] = min(nearest.get(name, NO_TROUBLE), trouble)
    return nearest


def trouble_of(names: Iterable[str], by_name: TroubleByName) -> Trouble:
    """The nearest trouble of several metrics."""
    return min((by_name.get(name, NO_TROUBLE) for name in names), default=NO_TROUBLE)


def _of(outlook: Outlook) -> Trouble:
    is_warning_only = outlook.judgement.kind in ("nice", "scenario")
    if outlook.prospect in ("failed", "fired"):
        return Trouble(_AT_RISK if is_warning_only else _FAILED, 0)
    if outlook.prospect == "at risk":
        return Trouble(_AT_RISK, 1)
    if outlook.prospect == "pending" or is_warning_only:
        return NO_TROUBLE
    margin = outlook.nearness
    return Trouble(_FINE, sum(margin >= narrow for narrow in _NARROW_MARGINS))


def _names(outlook: Outlook) -> Iterable[str]:
    """The metric that is compared; of a rule that has come true, all that it looks at."""
    if outlook.metric:
        return (outlook.metric,)
    return rule_text(outlook.judgement.when).names if outlook.prospect in ("failed", "fired") else ()


class CalmOrder:
    """Keeps charts where they are until there is a reason to move them."""

    def __init__(self) -> None:
        self._keys: tuple[str, ...] = ()
        self._levels: dict[str, int] = {}
        self._arranged_at = float("-inf")

    def arrange(self, keys: Sequence[str], troubles: Mapping[str, Trouble], now: float) -> tuple[str, ...]:
        """`keys`, given in the order of importance, with the nearest to trouble first.

        Args:
            troubles: of each key.
            now: seconds of a clock that is never set back.
        """
        levels = {key: troubles[key].level for key in keys}
        if levels == self._levels and now - self._arranged_at < CALM_SECONDS:
            return self._keys
        self._keys = tuple(sorted(keys, key=lambda key: troubles[key]))
        self._levels = levels
        self._arranged_at = now
        return self._keys
