"""Generated courses of rigid bodies: a cloud of points that turns about a pivot of its own, and moves on.

Angular and linear velocity are constant, so the motion between two frames says what comes next. Where the pivot is not
the body's middle, the middle moves on a curve. Of each frame some points are missing, and all stand in an order of its
own, so that no point can be followed by its place.

Shapes: B bodies, S courses, T + 1 frames of N points.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import torch
from torch import Generator, Tensor

from jepa_core.contracts import Observations, SequenceDataset, Space
from jepa_core.facts import DatasetFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.task_split import TaskSplit, fingerprint
from jepa_points.rotations import about_axis, rotations_of, turned
from jepa_points.shapes import SHAPES
from jepa_points.space import PointSpace

_LEAST_STRETCH, _MOST_STRETCH = 0.5, 1.2
"""Each axis of a body is drawn out by a factor between these, so that bodies of one shape differ."""


@attrs.frozen(kw_only=True)
class PointCloudsConfig:
    """Generated clouds of points that turn and move as rigid bodies, some of their points missing."""

    kind: ClassVar[str] = "point_clouds"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    space: ClassVar[type[Space]] = PointSpace

    num_sequences: int = setting("courses in both splits together", default=8000, at_least=2)
    courses: int = setting("courses of each body; a body is a task", default=2, at_least=1)
    context_length: int = setting("context frames", default=4, at_least=1, unit="frames")
    points: int = setting("points of a body", default=32, at_least=1)
    turn: float = setting("largest turn from frame to frame", default=60.0, at_least=0, at_most=180, unit="degrees")
    speed: float = setting("largest move from frame to frame along each axis", default=0.3, at_least=0)
    pivot: float = setting("largest distance of the pivot from the middle along each axis", default=1.0, at_least=0)
    missing: float = setting("share of points that a frame lacks", default=0.2, at_least=0, below=1)
    noise: float = setting("standard deviation of what is added to every coordinate", default=0.01, at_least=0)
    validation_share: float = setting("share of bodies that validate", default=0.1, above=0, below=1)
    seed: int = setting("decides everything that is drawn; the run's seed does not", default=0, at_least=0)

    def __attrs_post_init__(self) -> None:
        if self.courses >= self.num_sequences:
            raise ValueError(
                f"courses must be fewer than num_sequences {self.num_sequences}, for two bodies (got {self.courses})"
            )

    def build(self, facts: DatasetFacts) -> SequenceDataset:  # noqa: ARG002  # the same data under every run's seed
        """Sequences (S, T+1, N, …), the same for the same settings."""
        generator = torch.Generator().manual_seed(self.seed)
        num_bodies = math.ceil(self.num_sequences / self.courses)
        shapes_B = torch.randint(len(SHAPES), (num_bodies,), generator=generator)
        bodies_BN3 = self._bodies(shapes_B, generator)
        tasks_S = torch.arange(self.num_sequences) // self.courses
        frames = self._seen(self._moved(bodies_BN3[tasks_S], generator), generator)
        train, validation = TaskSplit(share=self.validation_share, seed=self.seed).apply(
            frames, tasks=tasks_S, labels={"shape": shapes_B[tasks_S]}
        )
        return SequenceDataset(
            space=PointSpace(num_points=self.points),
            train=train,
            validation=validation,
            task_names=tuple(f"{number}: {list(SHAPES)[shape]}" for number, shape in enumerate(shapes_B.tolist())),
            description=f"{num_bodies:,} generated bodies, {self.num_sequences:,} courses",
            fingerprint=fingerprint(train, validation),
        )

    def _bodies(self, shapes_B: Tensor, generator: Generator) -> Tensor:
        """(B, N, 3), at rest about the origin."""
        bodies = torch.empty(len(shapes_B), self.points, 3)
        for number, drawn in enumerate(SHAPES.values()):
            rows = (shapes_B == number).nonzero().squeeze(1)
            bodies[rows] = drawn(len(rows), self.points, generator)
        stretch = torch.rand(len(bodies), 1, 3, generator=generator)
        return bodies * (_LEAST_STRETCH + (_MOST_STRETCH - _LEAST_STRETCH) * stretch)

    def _moved(self, bodies_SN3: Tensor, generator: Generator) -> Tensor:
        """(S, T+1, N, 3): each body as it turns about its pivot, and the pivot as it moves along a line."""
        num = len(bodies_SN3)
        start_S133 = rotations_of(torch.randn(num, 1, 4, generator=generator))
        axis_S13 = torch.randn(num, 1, 3, generator=generator)
        angle_S1 = math.radians(self.turn) * torch.rand(num, 1, generator=generator)
        pivot_S113, place_S113, speed_S113 = (
            largest * (2 * torch.rand(num, 1, 1, 3, generator=generator) - 1)
            for largest in (self.pivot, 0.5, self.speed)
        )
        times_P = torch.arange(self.context_length + 1)
        turns_SP33 = about_axis(axis_S13.expand(-1, len(times_P), -1), angle_S1 * times_P)
        upright = turned(bodies_SN3.unsqueeze(1) - pivot_S113, start_S133)
        return turned(upright, turns_SP33) + place_S113 + speed_S113 * times_P[:, None, None]

    def _seen(self, points: Tensor, generator: Generator) -> Observations:
        """Points (S, T+1, N, 3) with noise, some missing, in an order drawn for each frame; one is always there."""
        points = points + self.noise * torch.randn(points.shape, generator=generator)
        mask = torch.rand(points.shape[:-1], generator=generator) >= self.missing
        mask[..., 0] |= ~mask.any(-1)
        order = torch.rand(mask.shape, generator=generator).argsort(-1)
        mask = mask.take_along_dim(order, -1)
        points = torch.where(mask.unsqueeze(-1), points.take_along_dim(order.unsqueeze(-1), -2), 0.0)
        return Observations({"points": points, "mask": mask})
