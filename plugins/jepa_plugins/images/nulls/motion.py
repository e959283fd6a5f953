"""The last image moved on by the whole-pixel shift that carried the one before onto it: block matching (Jain & Jain
1981), with one block, the image.

What comes in at the edges is dark, or what left on the other side; which of both predicts training targets better is
what is fitted.

Shapes: V contexts of T frames, N candidates, C channels, H × W pixels, K shifts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Observations, Sequences, Space
from jepa_core.facts import NullFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.images.nulls.frame_distance import nearness
from jepa_plugins.images.space import ImageSpace

_ROWS_AT_ONCE = 256
"""Bounds the padded copies."""


@attrs.frozen(kw_only=True)
class MotionConfig:
    """The last context image, moved on by its last motion."""

    kind: ClassVar[str] = "motion"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (ImageSpace,)

    max_shift: int = setting(
        "largest motion that is looked for, in each direction", default=4, at_least=1, unit="pixels"
    )

    def build(self, facts: NullFacts) -> Motion | None:
        """None where there is one context image, or where the places are no course."""
        if not facts.is_course:
            return None
        return Motion(self.max_shift)


class Motion:
    """Of shifts that fit equally well the smallest is taken: nothing moves on a blank image."""

    def __init__(self, max_shift: int) -> None:
        self._max_shift = max_shift
        self._wraps = False
        steps = range(-max_shift, max_shift + 1)
        self._shifts = sorted(((down, right) for down in steps for right in steps), key=_size_of)

    def fit(self, train: Sequences) -> Mapping[str, float]:
        """Whether images wrap around: `wraps`, 0 or 1, by the squared error on training targets."""
        pixels = train.observations["pixels"]
        errors = {
            wraps: float((self._predicted(pixels[:, :-1], wraps) - pixels[:, -1]).square().mean())
            for wraps in (False, True)
        }
        self._wraps = errors[True] < errors[False]
        return {"wraps": float(self._wraps)}

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        """Contexts (V, T, C, H, W) to (V, N) float32."""
        return nearness(self._predicted(context["pixels"], self._wraps), candidates["pixels"])

    def _predicted(self, frames: Tensor, wraps: bool) -> Tensor:
        """(V, T, C, H, W) to (V, C, H, W)."""
        return torch.cat([self._moved_on(part, wraps) for part in frames[:, -2:].split(_ROWS_AT_ONCE)])

    def _moved_on(self, pairs: Tensor, wraps: bool) -> Tensor:
        """Frames (V, 2, C, H, W): the second moved as the first had to be to become it."""
        height, width = pairs.shape[-2:]
        before, last = _padded(pairs, self._max_shift, wraps).unbind(1)
        now = pairs[:, 1]
        least = torch.full((len(pairs),), torch.inf, device=pairs.device)
        moved = now
        for down, right in self._shifts:
            top, left = self._max_shift - down, self._max_shift - right
            window = (..., slice(top, top + height), slice(left, left + width))
            error = (before[window] - now).square().flatten(1).sum(1)
            is_better = error < least
            least = torch.where(is_better, error, least)
            moved = torch.where(is_better[:, None, None, None], last[window], moved)
        return moved


def _size_of(shift: tuple[int, int]) -> tuple[int, int, int]:
    """By length, and in a fixed order among shifts of one length."""
    down, right = shift
    return down * down + right * right, down, right


def _padded(frames: Tensor, margin: int, wraps: bool) -> Tensor:
    """(…, H, W) to (…, H + 2 · margin, W + 2 · margin), dark or with what is on the other side."""
    if not wraps:
        return F.pad(frames, (margin,) * 4)
    rows, columns = (torch.arange(-margin, side + margin, device=frames.device) % side for side in frames.shape[-2:])
    return frames.index_select(-2, rows).index_select(-1, columns)
