"""The x axis of the charts: steps, epochs or training time, and the way from one to the others. Plain numbers only."""

from __future__ import annotations

import math

import attrs
import numpy as np
from numpy.typing import NDArray

from jepa_monitor.display import AxisKind
from jepa_monitor.history.series import Series
from jepa_monitor.model.run_view import RunView

_TIMEPIECES = ("loss.total", "grad.norm", "val.retrieval.mrr", "val.loss.total")
"""Metrics that rows have often: their moments tie steps, epochs and seconds together."""

_STEADY_SHARE = 40
"""The right edge moves on in steps of about this part of the range, so that charts stand still between them."""


@attrs.frozen(kw_only=True, eq=False)
class Axis:
    """The x axis over one run as it is now."""

    kind: AxisKind
    moments: Series | None
    """A series with many moments; None while there is no row."""
    steps_per_epoch: float | None

    def xs(self, series: Series) -> NDArray[np.floating]:
        """x of every value."""
        if self.kind == "step":
            return series.steps
        return series.epochs if self.kind == "epoch" else series.seconds

    def of_step(self, step: float) -> float | None:
        """x of a step; None while that cannot be told."""
        if self.kind == "step":
            return step
        if self.moments is None:
            return None
        return _interpolated(step, self.moments.steps, self.xs(self.moments))

    def of_epoch(self, epoch: float) -> float | None:
        """x of an epoch, also of one that is to come."""
        if self.kind == "epoch":
            return epoch
        if self.moments is None or not len(self.moments):
            return epoch * self.steps_per_epoch if self.kind == "step" and self.steps_per_epoch else None
        return _interpolated(epoch, self.moments.epochs, self.xs(self.moments))

    @property
    def newest(self) -> float:
        """x of the newest row that is known; 0 before the first."""
        if self.moments is None or not len(self.moments):
            return 0.0
        newest = float(self.xs(self.moments)[-1])
        return newest if math.isfinite(newest) else 0.0


def axis_of(view: RunView, kind: AxisKind) -> Axis:
    """The axis over a run."""
    known = [name for name in _TIMEPIECES if name in view.history.names] or list(view.history.names[:8])
    candidates = [series for series in map(view.history.series, known) if series is not None and len(series)]
    status = view.status
    per_epoch = (
        status.total_steps / status.total_epochs if status and status.total_epochs and status.total_steps else None
    )
    return Axis(kind=kind, moments=max(candidates, key=_reach, default=None), steps_per_epoch=per_epoch)


def steady_end(end: float) -> float:
    """A round number at or a little above `end`, which stays the same while `end` grows a little."""
    if end <= 0 or not math.isfinite(end):
        return 1.0
    raw = end / _STEADY_SHARE
    power = 10.0 ** math.floor(math.log10(raw))
    stride = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    return math.ceil(end / stride * (1 - 1e-9)) * stride


def _reach(series: Series) -> tuple[float, int]:
    return float(series.steps[-1]), len(series)


def _interpolated(at: float, known: NDArray[np.floating], wanted: NDArray[np.floating]) -> float | None:
    """Between the moments linearly, beyond them with the mean rate so far."""
    first, last = float(known[0]), float(known[-1])
    if at > last > 0:
        return float(wanted[-1]) * at / last
    if at < first:
        return float(wanted[0]) * at / first if first > 0 else float(wanted[0])
    return float(np.interp(at, known, wanted))
