"""What is to say about the ranks of a run, in words: on the screen, and as plain text."""

from __future__ import annotations

import math
from collections.abc import Iterable

from jepa_core.figures import figure_text
from jepa_core.presentation.quantity import duration_text
from jepa_monitor.model.ranks import Lane, LossSpread, Ranks

_LONGEST_SILENCE = 1e9
"""Seconds; a longer one is no figure worth telling."""


def straggler_text(ranks: Ranks) -> str:
    """Such as "rank 3, 14 % slower than the median"; empty where there is none."""
    straggler = ranks.straggler
    return f"rank {straggler.rank}, {straggler.slower * 100:.0f} % slower than the median" if straggler else ""


def ranks_remarks(ranks: Ranks) -> tuple[str, ...]:
    """What wants attention, in a few words each, for the head line."""
    remarks = []
    if ranks.silent:
        remarks.append(
            f"rank {ranks.silent[0]} silent" if len(ranks.silent) == 1 else f"{len(ranks.silent)} ranks silent"
        )
    if ranks.straggler is not None:
        remarks.append(f"rank {ranks.straggler.rank} slow")
    return tuple(remarks)


def silence_text(lane: Lane) -> str:
    """Such as "silent since step 480, about 2 min 10 s"."""
    since = "no row yet" if lane.step is None else f"silent since step {figure_text(lane.step)}"
    seconds = lane.silent_seconds
    if not 0 < seconds < _LONGEST_SILENCE:
        return since
    return f"{since}, about {f'{seconds:.0f} s' if seconds < 60 else duration_text(seconds)}"


def milliseconds_text(seconds: float) -> str:
    """With the same digits for figures of one size, so that a column of them can be compared."""
    milliseconds = seconds * 1000
    size = abs(milliseconds)
    return figure_text(milliseconds, "ms", decimals=0 if size >= 100 else 1 if size >= 10 else 2)


def busy_text(lanes: Iterable[Lane]) -> str:
    """The shortest and the longest time that one is busy, such as "168 ms … 199 ms"; of those that are not silent, and
    empty where none is known."""
    times = sorted(lane.busy for lane in lanes if lane.is_heard and math.isfinite(lane.busy))
    return f"{milliseconds_text(times[0])} … {milliseconds_text(times[-1])}" if times else ""


def losses_text(losses: LossSpread) -> str:
    """Such as "5.19 (rank 1) … 5.24 (rank 3), 0.96 % apart"."""
    ends = " … ".join(f"{figure_text(end.loss)} (rank {end.rank})" for end in (losses.low, losses.high))
    return ends if math.isnan(losses.apart) else f"{ends}, {figure_text(losses.apart, '%')} apart"
