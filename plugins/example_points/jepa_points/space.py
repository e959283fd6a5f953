"""The space of point sets: `points` (…, N, 3) float32 and `mask` (…, N) bool, True where a place holds a point.

A set has no order: what is asked of two sets is the same whichever way their points are listed, and `keys` are equal
for them. Places without a point hold zeros.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.errors import DataError
from jepa_core.observations import Observations
from jepa_core.settings import setting
from jepa_core.spaces import Edit, Fill, SpaceAudit, require
from jepa_points import point_sets
from jepa_points.audit import audited_points
from jepa_points.edits import edited, size_of


@attrs.frozen(kw_only=True)
class PointSpace:
    """Sets of up to `num_points` points in space, in no order."""

    kind: ClassVar[str] = "points"
    plural: ClassVar[str] = "point sets"

    num_points: int = setting("most points of a set", at_least=1)

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A usual one, and a single point."""
        return cls(num_points=9), cls(num_points=1)

    def sample(self, num: int, fill: Fill = "some") -> Observations:
        """(num, N, …): normal points, some of them there, none or all."""
        share = {"some": 0.7, "none": -1.0, "all": 2.0}[fill]
        mask = torch.rand(num, self.num_points) < share
        points = torch.randn(num, self.num_points, 3)
        return Observations({"points": torch.where(mask.unsqueeze(-1), points, 0.0), "mask": mask})

    def check(self, observations: Observations) -> None:
        """`points` (S, T+1, N, 3) float32, finite, zeros where `mask` (S, T+1, N) bool is False.

        Raises:
            ValueError: it is not so.
        """
        names = sorted(observations.tensors)
        require(names == ["mask", "points"], f"its tensors are {', '.join(names)}: point sets have points and mask")
        points, mask = observations["points"], observations["mask"]
        require(points.dtype == torch.float32, f"points are {points.dtype}, not torch.float32: .float() converts them")
        require(mask.dtype == torch.bool, f"mask is {mask.dtype}, not torch.bool: mask != 0 converts it")
        shape, places = tuple(points.shape[2:]), tuple(mask.shape[2:])
        require(
            shape == (self.num_points, 3) and places == (self.num_points,),
            f"sets are {shape} with a mask {places}, not {(self.num_points, 3)} with a mask {(self.num_points,)}",
        )
        _refuse(~points.isfinite(), points, "is not finite: leave the point out, with mask False and zeros")
        _refuse(~mask.unsqueeze(-1) & (points != 0), points, "is at a place without a point (mask False): put 0 there")

    def describe(self) -> str:
        """In the plural."""
        return f"sets of up to {self.num_points:,} point{'' if self.num_points == 1 else 's'}"

    def fitted(self, observations: Observations) -> Observations:
        """(…, n, 3) to (…, N, 3): places without a point are added, or taken away where enough are left over.

        Raises:
            DataError: a set has more points than there are places.
        """
        points, mask = observations["points"], observations["mask"]
        most = int(mask.sum(-1).max())
        if most > self.num_points:
            raise DataError(
                f"The weights take {self.describe()}, and this data has a set of {most:,}. Give sets of at most "
                f"{self.num_points:,}, with --set data.points={self.num_points} where the dataset has it."
            )
        if mask.shape[-1] > self.num_points:
            first = (~mask).long().argsort(dim=-1, stable=True)[..., : self.num_points]
            points, mask = points.take_along_dim(first.unsqueeze(-1), -2), mask.take_along_dim(first, -1)
        missing = self.num_points - mask.shape[-1]
        return Observations({"points": F.pad(points, (0, 0, 0, missing)), "mask": F.pad(mask, (0, missing))})

    def keys(self, observations: Observations) -> Tensor:
        """(…) int64, of the bits of the points, in whichever order: sets have none."""
        return point_sets.keys(observations["points"], observations["mask"])

    def alike(self, observations: Observations) -> Tensor:
        """(V, C, …) to (V, C, C) in (0, 1]: how small the Chamfer distance is beside the mean of those in the list."""
        squared = point_sets.chamfer(observations, observations)
        num = squared.shape[1]
        mean = squared.sum((1, 2), keepdim=True) / max(1, num * (num - 1))
        return 1 / (1 + squared / mean.clamp(min=torch.finfo(mean.dtype).tiny))

    def editor(self, sequences: Observations) -> Edit:
        """A set of each of the sequences (S, T+1, …) turned about its middle, or moved by a part of its size."""
        size = size_of(sequences)

        def edit(observations: Observations) -> Observations:
            return edited(observations, size)

        return edit

    def audit(self, observations: Observations, encoder: Any) -> SpaceAudit:  # noqa: ARG002  # every encoder suits them
        """Points of a set, how many are missing, and how large sets are."""
        return audited_points(observations)


def _refuse(wrong: Tensor, points: Tensor, why: str) -> None:
    """Raise ValueError with the first coordinate of points (S, T+1, N, 3) where `wrong` is True."""
    if wrong.any():
        place = wrong.nonzero()[0].tolist()
        raise ValueError(f"a coordinate, {float(points[tuple(place)]):.4g} at points{place}, {why}")
