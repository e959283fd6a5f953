"""The meaning of the rule language's parts, as closures over what a run has recorded.

Numbers are floats, conditions are true or false, and either may be unknown (None): a name without a value yet, a window
that is not full, a division by zero. Unknown spreads through arithmetic and comparisons; `and` and `or` are decided
without it where the other side decides. Not-a-number compares false with everything, under a `not` too: what is not
a number lies neither below nor above a limit.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

import attrs

from jepa_core.watch.baseline import BaselineValues
from jepa_core.watch.history import History, Point
from jepa_core.watch.ordered_window import OrderedWindow


@attrs.frozen
class Scene:
    """What a rule is evaluated against."""

    history: History
    baseline: BaselineValues | None
    fired: set[str]
    """Ids of the rules that have fired."""
    unjudged: frozenset[str] = frozenset()
    """Ids of rules of which it is unknown whether they would have, for whoever asks what can be said by now."""


Number = Callable[[Scene], float | None]
Condition = Callable[[Scene], bool | None]


def binary(operation: Callable[[float, float], float], left: Number, right: Number) -> Number:
    """`left OP right`."""

    def evaluate(scene: Scene) -> float | None:
        a, b = left(scene), right(scene)
        if a is None or b is None or (operation is operator.truediv and b == 0):
            return None
        return operation(a, b)

    return evaluate


def compared(comparison: Callable[[float, float], bool], left: Number, right: Number, *, wanted: bool) -> Condition:
    """`left OP right`, or that it does not hold; false either way when one is not a number."""

    def evaluate(scene: Scene) -> bool | None:
        a, b = left(scene), right(scene)
        if a is None or b is None:
            return None
        return not (math.isnan(a) or math.isnan(b)) and comparison(a, b) is wanted

    return evaluate


def all_of(parts: Sequence[Condition]) -> Condition:
    """`and`."""

    def evaluate(scene: Scene) -> bool | None:
        known = True
        for part in parts:
            result = part(scene)
            if result is False:
                return False
            known = known and result is not None
        return True if known else None

    return evaluate


def any_of(parts: Sequence[Condition]) -> Condition:
    """`or`."""

    def evaluate(scene: Scene) -> bool | None:
        known = True
        for part in parts:
            result = part(scene)
            if result is True:
                return True
            known = known and result is not None
        return False if known else None

    return evaluate


def negated(inner: Condition) -> Condition:
    """`not`, of a condition that compares nothing."""

    def evaluate(scene: Scene) -> bool | None:
        result = inner(scene)
        return None if result is None else not result

    return evaluate


def is_finite(inner: Number) -> Condition:
    """`finite(x)`."""

    def evaluate(scene: Scene) -> bool | None:
        value = inner(scene)
        return None if value is None else math.isfinite(value)

    return evaluate


def over_window(function: str, name: str, num_values: int, skipped: int) -> Number:
    """A function of the `num_values` values of `name` before the newest `skipped`."""
    of_points, of_ordered = OVER_POINTS.get(function), OVER_ORDERED.get(function)
    if of_points is not None:

        def evaluate(scene: Scene) -> float | None:
            points = scene.history.window(name, num_values, skipped)
            return None if points is None else of_points(points)

        return evaluate
    assert of_ordered is not None
    return over_ordered(of_ordered, name, num_values, skipped)


def over_ordered(figure: Callable[[OrderedWindow], float], name: str, num_values: int, skipped: int) -> Number:
    """A figure of the `num_values` values of `name` before the newest `skipped`, in order of size."""

    def evaluate(scene: Scene) -> float | None:
        window = scene.history.ordered(name, num_values, skipped)
        return None if window is None else figure(window)

    return evaluate


def _mean(points: tuple[Point, ...]) -> float:
    return sum(point.value for point in points) / len(points)


def _slope(points: tuple[Point, ...]) -> float | None:
    """Least-squares slope per epoch; None when all points lie in one instant or say no epoch."""
    mean_epoch = sum(point.epoch for point in points) / len(points)
    spread = sum((point.epoch - mean_epoch) * (point.epoch - mean_epoch) for point in points)
    if math.isnan(spread) or spread == 0:
        return None
    mean_value = _mean(points)
    return sum((point.epoch - mean_epoch) * (point.value - mean_value) for point in points) / spread


def _lowest(points: tuple[Point, ...]) -> float:
    return min((p.value for p in points if not math.isnan(p.value)), default=math.nan)


def _highest(points: tuple[Point, ...]) -> float:
    return max((p.value for p in points if not math.isnan(p.value)), default=math.nan)


OVER_POINTS: dict[str, Callable[[tuple[Point, ...]], float | None]] = {
    "mean": _mean,
    "slope": _slope,
    "min": _lowest,
    "max": _highest,
}

OVER_ORDERED: dict[str, Callable[[OrderedWindow], float]] = {
    "median": OrderedWindow.median,
    "spread": OrderedWindow.spread,
    "lowest": lambda window: window.lowest_median,
    "highest": lambda window: window.highest_median,
}

WHOLE_SERIES: dict[str, Callable[[History, str], float | None]] = {
    "first": History.first,
    "last": History.last,
    "best": History.best,
    "min": History.minimum,
    "max": History.maximum,
}
