"""Figures as people read them: the digits that carry information, the unit, and limits beside them.

Units and operators may come from a run directory, so they are cleaned here.
"""

from __future__ import annotations

import math
import re

from jepa_core.visible_text import clean

RANK_DECIMALS = 3
"""Of reciprocal ranks, their means and differences, wherever they stand: side by side they would differ otherwise."""

_OF_RANKS = re.compile(r"\.(?:(?:null|blind|medoid|chance)_)?mrr$|\.above_null(?:_low|_high)?$")
_NAME = re.compile(r"\b[a-z_]\w*(?:\.\w+)+")  # from the beginning of a word: else long ones take long
_MOST_DECIMALS = 6
_LONGEST_UNIT = 24
_SMALLEST_PLAIN = 1e-3
"""Smaller figures are told with a power of ten."""


def figure_text(value: float, unit: str = "", *, decimals: int | None = None, of: str = "") -> str:
    """0.412 → "0.412", 0.141 in % → "14.1 %", 12.43 → "12.4", 30.0 → "30"; non-finite as nan, inf, −inf.

    Two digits at least, so that a small learning rate is not told as another: 0.0005 → "5e−4"; but three decimals of
    reciprocal ranks, where `of`, a metric's name or a rule, is of such: 0.0058 → "0.006".
    """
    if decimals is None and math.isfinite(value) and _is_of_ranks(of):
        return rank_text(value)
    scaled = value * 100 if unit == "%" else value
    if decimals is None and 0 < abs(scaled) < _SMALLEST_PLAIN:
        return _power(scaled) + _suffix(unit)
    return _number(scaled, _decimals(scaled, unit) if decimals is None else decimals) + _suffix(unit)


def limit_text(operator: str, limit: float, unit: str = "", *, of: str = "", value: float | None = None) -> str:
    """A limit with its sign, without digits that say nothing: "> 10 %"; `of` as of `figure_text`. One of reciprocal
    ranks has more decimals than these only where it would read as the `value` beside it does."""
    scaled = limit * 100 if unit == "%" else limit
    if math.isfinite(limit) and _is_of_ranks(of):
        number = _number(limit, _decimals_apart(limit, limit if value is None else value))
    elif 0 < abs(scaled) < _SMALLEST_PLAIN:
        number = _power(scaled)
    else:
        number = _number(scaled, _limit_decimals(scaled) if 0 < abs(scaled) < 1e4 else _decimals(scaled, unit))
    whole, point, fraction = number.partition(".")
    shown = f"{whole}{point}{fraction.rstrip('0')}".rstrip(".") if "e" not in number else number
    return f"{clean(operator, 2)} {shown}{_suffix(unit)}".strip()


def rank_text(value: float) -> str:
    """A reciprocal rank, or a mean or difference of such: 0.9466 → "0.947", 1.0 → "1.000"."""
    return f"{value:.{RANK_DECIMALS}f}".replace("-", "−")


def difference_text(mean: float, low: float, high: float) -> str:
    """A difference of reciprocal ranks with its interval, such as "+0.048 [0.031, 0.066]"."""
    low_text, high_text = (value_beside_limit(end, 0.0, of=".mrr") for end in (low, high))
    return f"{'+' if mean > 0 else ''}{rank_text(mean)} [{low_text}, {high_text}]"


def value_beside_limit(value: float, limit: float | None, unit: str = "", *, of: str = "") -> str:
    """A value with enough digits to be told from its limit, unless they are equal; `of` as of `figure_text`."""
    scale = 100 if unit == "%" else 1
    decimals = RANK_DECIMALS if _is_of_ranks(of) else _decimals(value * scale, unit)
    shown = figure_text(value, unit, decimals=decimals)
    if limit is None or not math.isfinite(value) or not math.isfinite(limit):
        return shown
    while value != limit and decimals < _MOST_DECIMALS and _reads_as(shown, limit * scale, unit):
        decimals += 1
        shown = figure_text(value, unit, decimals=decimals)
    return shown


def change_text(change: float) -> str:
    """A relative change with its sign: 0.41 → "+41 %", −0.002 → "−0.2 %"."""
    if not math.isfinite(change):
        return ""
    percent = abs(change) * 100
    digits = 0 if percent >= 1 or percent == 0 else 1 if percent >= 0.095 else 2
    return f"{'−' if change < 0 else '+'}{_number(percent, digits)} %"


def _decimals_apart(limit: float, value: float) -> int:
    """Those of reciprocal ranks by which two that differ read otherwise."""
    apart = range(RANK_DECIMALS, _MOST_DECIMALS + 1)
    return next((n for n in apart if f"{limit:.{n}f}" != f"{value:.{n}f}"), RANK_DECIMALS)


def _is_of_ranks(what: str) -> bool:
    names = _NAME.findall(what) or [what]
    return all(map(_OF_RANKS.search, names))


def _suffix(unit: str) -> str:
    return f" {clean(unit, _LONGEST_UNIT)}" if unit else ""


def _decimals(value: float, unit: str) -> int:
    size = abs(value)
    if not math.isfinite(value):
        return 0
    if unit == "%":
        return 1
    if float(value).is_integer():
        return 0
    bounds = (1000, 10, 1, 0.01, _SMALLEST_PLAIN)
    return next((decimals for decimals, bound in enumerate(bounds) if size >= bound), len(bounds))


def _limit_decimals(value: float) -> int:
    """Six significant digits at most: a limit may be computed."""
    return min(_MOST_DECIMALS, 5 - math.floor(math.log10(abs(value))))


def _number(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return str(value).replace("-", "−")
    if value and (abs(value) < 10**-decimals / 2 or abs(value) >= 1e9):
        return _power(value)
    return f"{value or 0.0:,.{decimals}f}".replace("-", "−")  # zero has no sign


def _power(value: float) -> str:
    """Three digits and a power of ten, without zeros that say nothing: "5.21e−4", "5e−4"."""
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}".replace("-", "−")


def _reads_as(shown: str, limit: float, unit: str) -> bool:
    number = shown.removesuffix(_suffix(unit)).replace(",", "").replace("−", "-")
    return math.isclose(float(number), limit, rel_tol=1e-9, abs_tol=1e-12)
