"""Figures as they stand in files. JSON has no non-finite numbers, so these are the texts "nan", "inf" and "-inf".

Metrics rows, events and verdicts are all written and read with these. A rule on them fires from
a file as it does in the trainer. Knows nothing of files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_FROM_TEXT = {
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
}
"""As written here, and as other programs write them."""

_RENAMED = {
    "val.retrieval.baseline_mrr": "val.retrieval.null.equal_cells.mrr",
    "val.retrieval.baseline_top1": "val.retrieval.null.equal_cells.top1",
}
"""Metrics of earlier versions → what they are called now."""


_HALF = re.compile("[\ud800-\udfff]")


def current_name(metric: str) -> str:
    """What a metric is called now, by the name in an old run or rule."""
    return _RENAMED.get(metric, metric)


def encode(value: Any) -> Any:
    """`value` with every non-finite float in it, however deep, as text; tuples become lists, keys become text.

    What JSON does not hold either: half characters, as in names of files that are no UTF-8, are replacement characters,
    and whole numbers beyond 64 bits are floats.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value if value.isascii() else _whole(value)
    if isinstance(value, Mapping):
        return {_whole(str(key)): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return encode(decode_number(value))
    return value


def _whole(text: str) -> str:
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)


def decode_number(value: Any) -> float | None:
    """A recorded figure as a float; None for anything that is not one (text, true, a list, …)."""
    if isinstance(value, str):
        return _FROM_TEXT.get(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return None


def decode_row(recorded: Mapping[Any, Any]) -> dict[str, float]:
    """A recorded metrics row with its figures as floats; entries that are no figures are left out."""
    row = {}
    for name, value in recorded.items():
        figure = value if type(value) is float else decode_number(value)  # nearly all are: a call each is dear
        if figure is not None and isinstance(name, str):
            row[_RENAMED.get(name, name)] = figure
    return row
