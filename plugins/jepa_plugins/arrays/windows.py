"""Cutting recordings into sequences, and one recording in time so that no step is on both sides.

Shapes: R recordings of E steps, W sequences of each, of T + 1 observations; a sequence spans a number of steps.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

STRETCHES = 50
"""Tasks that one long recording is cut into."""

_LEAST_STRETCHES = 10
"""Of its part that validates: an interval over fewer tasks says little."""


@attrs.frozen(kw_only=True)
class Cut:
    """How recordings become sequences."""

    num_places: int
    """T + 1."""
    length: int
    """Steps of one observation: of a series; 1 for images and vectors."""
    is_windowed: bool
    """Whether an observation keeps its steps as a dimension: a series."""
    stride: int
    """Steps from the start of a sequence to that of the next."""

    @property
    def span(self) -> int:
        """Steps of a sequence."""
        return self.num_places * self.length

    def windows(self, recordings: Tensor) -> Tensor:
        """(R, E, …) to (R, W, T+1, …), or (R, W, T+1, L, …) for series: a view, no number is copied."""
        spans = recordings.unfold(1, self.span, self.stride).movedim(-1, 2)
        return spans.unflatten(2, (self.num_places, self.length)) if self.is_windowed else spans

    def num_steps(self, num_windows: int) -> int:
        """Steps from the first of so many sequences to the end of the last."""
        return (num_windows - 1) * self.stride + self.span

    def shortage(self, num_steps: int, *, to_split: bool = False) -> str:
        """What is wrong where so many steps make no sequence, or where they are to be split no second one without a
        step in common; empty where they do."""
        needed = self.span + (self.stride * self._fewest_between if to_split else 0)
        if num_steps >= needed:
            return ""
        sides = ", and as many again to validate on" if to_split else ""
        observations = f"windows of {self.length} steps" if self.is_windowed else "steps"
        shorter = " or data.length" if self.is_windowed else ""
        longest = num_steps // (self.num_places * (2 if to_split else 1))
        if self.is_windowed and self.stride == self.length and longest:
            shorter += f" ({longest} or less)"
        return (
            f"a recording has {num_steps:,} steps, and at least {needed:,} are needed: a sequence is "
            f"{self.num_places} {observations}, context and target{sides}. Lower data.context_length{shorter}, or give "
            "a longer recording."
        )

    @property
    def _fewest_between(self) -> int:
        """Sequences from one to the next that has no step in common with it."""
        return -(-self.span // self.stride)

    def split_in_time(self, num_windows: int, share: float) -> tuple[int, int]:
        """How many windows train, from the first, and which one is the first that validates.

        Between them lie those that would share a step with validation.
        """
        first = num_windows - min(max(round(num_windows * share), 1), num_windows - 1)
        # At least the first window has to train: its last step bounds how early validation can begin.
        first = max(first, self._fewest_between)
        return (first * self.stride - self.span) // self.stride + 1, first


def stretches(num_windows: int, share: float = 1.0) -> Tensor:
    """(W,) int64: which contiguous stretch of a recording's part each of its sequences is of, counted from 0.

    `share` is the part's of all stretches.
    """
    count = min(num_windows, max(_LEAST_STRETCHES, round(STRETCHES * share)))
    return torch.arange(num_windows) * count // num_windows


def within_one(marks: Tensor, cut: Cut) -> Tensor:
    """Marks of steps (E,) to (W,) bool: whether all steps of a sequence have the same."""
    windows = marks.unfold(0, cut.span, cut.stride)
    return torch.cat([(part == part[:, :1]).all(1) for part in windows.split(max(1, (1 << 22) // cut.span))])
