"""Rotations of whole sequences: what a body does next does not depend on which way the world is turned.

Shapes: B sequences of T + 1 sets of N points.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Observations, Space, ViewTransform
from jepa_core.facts import AugmentationFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_points.rotations import about_axis, rotations_of, turned
from jepa_points.space import PointSpace


@attrs.frozen(kw_only=True)
class RotatePointsConfig:
    """All sets of a sequence turned about the origin by the same random rotation."""

    kind: ClassVar[str] = "rotate_points"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (PointSpace,)

    axis: Literal["any", "x", "y", "z"] = setting(
        "any: every rotation in space is as likely; else turns about that axis alone, where up stays up",
        default="any",
        choices=("any", "x", "y", "z"),
    )

    def build(self, facts: AugmentationFacts) -> ViewTransform:  # noqa: ARG002  # the same on sets of every size
        def rotate(batch: Observations) -> Observations:
            """Sequences (B, T+1, N, …), drawn from torch's global generator."""
            points = batch["points"]
            rotation_B133 = self._drawn(points).unsqueeze(1)
            return Observations({"points": turned(points, rotation_B133), "mask": batch["mask"]})

        return rotate

    def _drawn(self, points: Tensor) -> Tensor:
        """(B, 3, 3)."""
        if self.axis == "any":
            return rotations_of(torch.randn(len(points), 4, device=points.device))
        axis = torch.arange(3, device=points.device) == "xyz".index(self.axis)
        angle = 2 * math.pi * torch.rand(len(points), device=points.device)
        return about_axis(axis.float().expand(len(points), 3), angle)
