"""How near a chart's metrics are to trouble, and the order of the charts that follows from it.

Charts stay where they are: the order is made when a run is opened, and anew when a key asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs

from jepa_monitor.board.rule_text import rule_text
from jepa_monitor.charts.spec import Tone
from jepa_monitor.model.run_view import Outlook

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


class KeptOrder:
    """Keeps charts where they are until they are sorted again."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._is_wanted = True

    def sort_again(self) -> None:
        """Bring the nearest to trouble first the next time."""
        self._is_wanted = True

    def arrange(
        self, keys: Sequence[str], troubles: Mapping[str, Trouble], *, is_settled: bool = True, is_held: bool = False
    ) -> tuple[str, ...]:
        """`keys`, given in the order of importance, where they were before; new ones in their place, or last.

        Args:
            troubles: of each key.
            is_settled: whether the rules have judged the run as far as it is; until then it is sorted each time.
            is_held: whether somebody looks at a chart: new ones join at the end, so that none moves.
        """
        if self._is_wanted:
            self._keys = sorted_by_trouble(keys, troubles)
            self._is_wanted = not (is_settled and keys)
            return tuple(self._keys)
        before = None
        for key in keys:
            if key not in self._keys:
                place = len(self._keys) if is_held else self._keys.index(before) + 1 if before is not None else 0
                self._keys.insert(place, key)
            before = key
        return tuple(key for key in self._keys if key in troubles)


def sorted_by_trouble(keys: Iterable[str], troubles: Mapping[str, Trouble]) -> list[str]:
    """The nearest to trouble first, and else in the order given."""
    return sorted(keys, key=lambda key: troubles[key])
