"""How the ranks of a run on several processes stand beside each other: who is slow, who is silent, how losses differ.

Ranks that average their gradients end every step together, so the time of a step hardly tells them apart. What does is
the time that each is busy itself: its step less what it waited for the others, where all ranks record that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from jepa_monitor.feed.rank_rows import RankRows

LAST_ROWS = 20
"""Newest rows that figures are taken over."""
LEAST_ROWS = 10
"""Fewer than that name no straggler."""
SLOWER = 0.1
"""Least excess over the median of the other ranks for a straggler."""
CLEAR = 5.0
"""Standard errors by which a straggler's excess differs from zero: the slowest of many ranks is slow by chance."""
SILENT_ROWS = 5
"""Rows that a rank may be behind the foremost one before it counts as silent."""

_MEDIAN_ERROR = 1.2533 * 1.4826
"""Standard error of the median of one normal value, by its median absolute deviation."""


@attrs.frozen(kw_only=True)
class Straggler:
    """The rank that the others wait for."""

    rank: int
    slower: float
    """Excess of its time over the median of the other ranks', relative to that."""


@attrs.frozen(kw_only=True)
class Lane:
    """One rank as it stands. Times are medians over its newest rows, in seconds a step; NaN where none is recorded."""

    rank: int
    step: float | None
    """Of its newest row; None while it has none."""
    busy: float
    """Without what it waited for the others, where all ranks record that."""
    wall: float
    data: float
    wait: float
    loss: float
    """Of its newest row; NaN where it says none."""
    device_gib: float
    is_silent: bool = False
    silent_seconds: float = math.nan
    """How long by the others' steps, while it is silent."""

    @property
    def has_bad_loss(self) -> bool:
        """A loss was recorded, and it is not finite."""
        return self.is_heard and not math.isfinite(self.loss)

    @property
    def is_heard(self) -> bool:
        """It has rows, and as new ones as the others."""
        return self.step is not None and not self.is_silent


@attrs.frozen(kw_only=True)
class RankLoss:
    """The loss of one rank's own share of the batch."""

    rank: int
    loss: float


@attrs.frozen(kw_only=True)
class LossSpread:
    """The extremes in the newest row that all ranks have."""

    low: RankLoss
    high: RankLoss

    @property
    def apart(self) -> float:
        """Their distance, relative to the size of their mean; NaN where that is zero."""
        size = abs(self.high.loss / 2 + self.low.loss / 2)
        return (self.high.loss - self.low.loss) / size if size else math.nan


@attrs.frozen(kw_only=True)
class Ranks:
    """All ranks at one moment; without lanes where a run has one process."""

    lanes: tuple[Lane, ...] = ()
    """In the order of their ranks."""
    step: float = 0.0
    """Of the newest row of any."""
    straggler: Straggler | None = None
    losses: LossSpread | None = None
    is_compared: bool = False
    """There are enough rows to name a straggler, if there is one."""
    has_waits: bool = False
    """All ranks record how long they wait, so that `busy` is without it."""

    @property
    def silent(self) -> tuple[int, ...]:
        return tuple(lane.rank for lane in self.lanes if lane.is_silent)


NO_RANKS = Ranks()


def find_straggler(seconds: Mapping[int, Sequence[float]]) -> Straggler | None:
    """The rank that is clearly slower than the others; None where none is, or where it may be chance.

    That is the slowest by its median over the rows, if its excess over the median of the others in each row is, by the
    median again, at least `SLOWER` and `CLEAR` times its standard error. The spread behind that error is its own or the
    usual one of the others, whichever is greater: a single slow step or two name nobody.

    Args:
        seconds: that a step took each rank, in the same rows, oldest first.
    """
    ranks, times = _comparable(seconds)
    if not _is_enough(times):
        return None
    slowest = int(np.median(times, axis=1).argmax())
    others = np.delete(times, slowest, axis=0)
    usual = np.quantile(others, 0.5, axis=0, method="higher")  # two are no slower because a third is fast
    excess = times[slowest] / usual - 1
    slower = float(np.median(excess))
    spread = max(float(_deviation(excess)), float(np.median(_deviation(others / usual))))
    clear = CLEAR * _MEDIAN_ERROR * spread / math.sqrt(times.shape[1])
    return Straggler(rank=ranks[slowest], slower=slower) if slower >= max(SLOWER, clear) else None


def _comparable(seconds: Mapping[int, Sequence[float]]) -> tuple[list[int], NDArray[np.float64]]:
    """Ranks, and their times in the newest rows in which all have one."""
    ranks = sorted(seconds)
    times = np.array([seconds[rank] for rank in ranks], dtype=np.float64, ndmin=2)
    is_time = (np.isfinite(times) & (times > 0)).all(axis=0)
    return ranks, times[:, is_time][:, -LAST_ROWS:]


def _is_enough(times: NDArray[np.float64]) -> bool:
    return len(times) > 1 and len(times[0]) >= LEAST_ROWS


def _deviation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median absolute deviation over the last axis."""
    deviation: NDArray[np.float64] = np.median(np.abs(values - np.median(values, axis=-1, keepdims=True)), axis=-1)
    return deviation


def ranks_of(recorded: Sequence[RankRows]) -> Ranks:
    """How the ranks stand that recorded these rows; no lanes for one rank alone."""
    if len(recorded) < 2:
        return NO_RANKS
    with np.errstate(all="ignore"):  # figures without bounds give no straggler, and no warning
        return _compared(recorded)


def _compared(recorded: Sequence[RankRows]) -> Ranks:
    foremost = max(recorded, key=_newest_step)
    behind = {each.rank for each in recorded if _rows_behind(each, foremost) > SILENT_ROWS}
    heard = [each for each in recorded if each.rows and each.rank not in behind]
    has_waits = bool(heard) and all("time.wait" in each.rows[-1] for each in heard)
    lanes = [_lane(each, has_waits=has_waits) for each in recorded]
    pace = _median(lane.wall for lane in lanes if lane.rank not in behind)
    step = max(_newest_step(foremost), 0.0)
    common = _common_rows(heard)
    busy = {rank: [_busy(row, has_waits=has_waits) for row in rows] for rank, rows in common.items()}
    return Ranks(
        lanes=tuple(_silenced(lane, step, pace) if lane.rank in behind else lane for lane in lanes),
        step=step,
        straggler=find_straggler(busy),
        losses=_loss_spread(common),
        is_compared=_is_enough(_comparable(busy)[1]),
        has_waits=has_waits,
    )


def _newest_step(recorded: RankRows) -> float:
    return recorded.rows[-1]["step"] if recorded.rows else -math.inf


def _rows_behind(recorded: RankRows, foremost: RankRows) -> int:
    newest = _newest_step(recorded)
    return sum(row["step"] > newest for row in foremost.rows)


def _silenced(lane: Lane, step: float, pace: float) -> Lane:
    missed = step - (lane.step or 0.0)
    return attrs.evolve(lane, is_silent=True, silent_seconds=missed * pace)


def _lane(recorded: RankRows, *, has_waits: bool) -> Lane:
    rows = recorded.rows[-LAST_ROWS:]
    newest = rows[-1] if rows else {}
    return Lane(
        rank=recorded.rank,
        step=newest.get("step"),
        busy=_median(_busy(row, has_waits=has_waits) for row in rows),
        wall=_median(row.get("time.step", math.nan) for row in rows),
        data=_median(row.get("time.data", math.nan) for row in rows),
        wait=_median(row.get("time.wait", math.nan) for row in rows),
        loss=newest.get("loss.total", math.nan),
        device_gib=newest.get("memory.device_gib", math.nan),
    )


def _busy(row: Mapping[str, float], *, has_waits: bool) -> float:
    wall = row.get("time.step", math.nan)
    return wall - row.get("time.wait", math.nan) if has_waits else wall


def _median(values: Iterable[float]) -> float:
    """Of the finite ones; NaN where there are none."""
    finite = [value for value in values if math.isfinite(value)]
    return float(np.median(finite)) if finite else math.nan


def _common_rows(heard: Sequence[RankRows]) -> dict[int, list[Mapping[str, float]]]:
    """The rows of the steps that all of them have, oldest first."""
    by_step = {each.rank: {row["step"]: row for row in each.rows} for each in heard}
    steps = sorted(set.intersection(*(set(rows) for rows in by_step.values()))) if by_step else []
    return {rank: [rows[step] for step in steps] for rank, rows in by_step.items()}


def _loss_spread(common: Mapping[int, Sequence[Mapping[str, float]]]) -> LossSpread | None:
    """In the newest row; of finite losses alone, and None where fewer than two ranks have one."""
    newest = [RankLoss(rank=rank, loss=rows[-1].get("loss.total", math.nan)) for rank, rows in common.items() if rows]
    finite = [each for each in newest if math.isfinite(each.loss)]
    if len(finite) < 2:
        return None
    return LossSpread(low=min(finite, key=lambda each: each.loss), high=max(finite, key=lambda each: each.loss))
