"""Figures that gather on the device between two metrics rows, and leave it in one copy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from jepa_core.contracts import ALONE, Crew
from jepa_core.metrics import ANEW


class Meters:
    """Means over the steps since the last row."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._names: list[str] = []
        self._sums = torch.zeros(2, 0, device=device)
        self._steps = 0
        self._timed_steps = 0
        self._notes: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self.own: dict[str, float] = {}
        """This rank's own part of the newest row, where there are several."""
        self.rows = 0
        """Rows so far."""
        self.rank_rows: list[int] = []
        """Rows so far that each rank has of its own, where there are several."""
        self.anew = 0
        """Trained tensors that start anew with the next row."""

    def add(self, names: list[str], values: Tensor) -> None:
        """One step's figures (2, F), as `together` gives them."""
        if self._names != names:
            self._names, self._sums, self._steps = names, torch.zeros_like(values), 0
        self._sums = self._sums + values
        self._steps += 1
        self._timed_steps += 1

    def begin_anew(self, tensors: int) -> None:
        """So many trained tensors start anew: where there are any, steps since the last row were another network's."""
        if tensors:
            self._sums, self._steps = torch.zeros_like(self._sums), 0
            self.anew += tensors

    def note(self, figures: Mapping[str, float]) -> None:
        """Host values of the newest step."""
        self._notes |= figures

    def note_time(self, name: str, seconds: float) -> None:
        """Host seconds, added up over the steps."""
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    @property
    def steps(self) -> int:
        """Steps since the last row."""
        return self._steps

    @property
    def timed_steps(self) -> int:
        """Those of them that this process took: the time of steps before a resume is nowhere."""
        return self._timed_steps

    def take(self, crew: Crew = ALONE) -> dict[str, float]:
        """The means since the last row, over ranks too, in one device-to-host copy; starts anew.

        A figure that no step counted is not in it.
        """
        self.rows += 1
        counts = [*self.rank_rows, *[0] * crew.size]
        self.rank_rows = [count + 1 for count in counts[: crew.size]] if crew.size > 1 else []
        told = self._notes | ({ANEW: self.anew} if self.anew else {})
        self.anew = 0
        if not self._steps:
            return told
        seconds = {name: total / max(1, self._timed_steps) for name, total in self._seconds.items()}
        if crew.size > 1:
            self.own = {"loss.total": self._means(self._sums).get("loss.total", math.nan), **seconds}
        row = self._means(crew.mean(self._sums)) | told | seconds
        self._sums = torch.zeros_like(self._sums)
        self._steps = self._timed_steps = 0
        self._seconds = {}
        return row

    def _means(self, sums: Tensor) -> dict[str, float]:
        totals, counts = sums.tolist()
        return {name: total / n for name, total, n in zip(self._names, totals, counts, strict=True) if n}

    def state(self) -> dict[str, Any]:
        """For checkpoints: a run that is resumed between two rows writes the same row. What is noted is noted anew in
        every step."""
        return {
            "names": self._names if self._steps else [],
            "sums": self._sums[:, : None if self._steps else 0],
            "steps": self._steps,
            "rows": self.rows,
            **({"rank_rows": self.rank_rows} if self.rank_rows else {}),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """From a checkpoint."""
        self._names = list(state["names"])
        self._steps, self._timed_steps = int(state["steps"]), 0
        sums = state["sums"]
        if sums.dim() == 1:
            # Once kept without counts: every step counted.
            sums = torch.stack([sums, torch.full_like(sums, self._steps)])
        self._sums = sums.to(self._device)
        self.rows = state["rows"]
        self.rank_rows = list(state.get("rank_rows", []))


def together(
    micro_batches: Sequence[Mapping[str, Tensor]], step_figures: Mapping[str, Tensor], excused: Tensor | None = None
) -> tuple[list[str], Tensor]:
    """Names of one step's device scalars, and (2, F): their values, and 1 for each that counts.

    Those of each micro-batch are averaged. `excused`, a bool scalar, says that what is not finite does not count.
    """
    rows = [torch.stack(list(figures.values())) for figures in micro_batches]
    means = torch.stack(rows).mean(0) if len(rows) > 1 else rows[0]
    values = torch.cat([means, torch.stack([value.float() for value in step_figures.values()])])
    counts = torch.ones_like(values) if excused is None else (values.isfinite() | ~excused).to(values.dtype)
    return [*micro_batches[0], *step_figures], torch.stack([torch.where(counts > 0, values, 0.0), counts])
