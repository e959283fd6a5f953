"""Generated sequences of images: one handwritten digit moves over a dark canvas, straight on, and off the edges.

To know what comes next is to know which digit it is and where it will be. A task is one digit image, so validation has
digits that no training sequence shows. Several sequences of a task pass through one place at their last context frame,
each coming from another side: the last frame alone leaves open which of them it is. No two of these have the same
target, none has its last frame as target, and a context has one continuation only.

With edges that the digit bounces off, moving the last frame on by its last motion (the null `motion`) is wrong wherever
the digit has turned or will turn. With edges that wrap around it is always right, and nothing can be better: such data
shows whether an encoder learns motion at all, not whether it is worth its training.

The digits are those of the UCI set (see `images/data/README.md`). In the manner of Moving MNIST (Srivastava, Mansimov &
Salakhutdinov, arXiv 1502.04681).

Shapes: S sequences of T + 1 frames, K digit images, E meetings of sequences, A places on an axis, G speeds on an axis.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from importlib.resources import files
from typing import ClassVar, Literal

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Space
from jepa_core.facts import DatasetFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.task_split import TaskSplit, fingerprint
from jepa_plugins.images.space import ImageSpace

_DIGIT_SIDE = 8
_MAX_SPEED = 3
"""Of each axis, in pixels a frame."""

_SEQUENCES_AT_ONCE = 1024
"""Bounds the index of pixels while drawing."""

Edges = Literal["bounce", "wrap"]


@attrs.frozen(kw_only=True)
class MovingDigitsConfig:
    """Generated sequences: a handwritten digit moves straight on over a canvas and off its edges."""

    kind: ClassVar[str] = "moving_digits"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    space: ClassVar[type[Space]] = ImageSpace

    num_sequences: int = setting("sequences in both splits together", default=7188, at_least=16)
    seed: int = setting("decides digits, motions, noise and the split; the run's seed does not", default=0, at_least=0)
    context_length: int = setting("context images; two tell a motion, but not always at an edge", default=3, at_least=2)
    side: int = setting("height and width of the canvas", default=20, at_least=12, at_most=64, unit="pixels")
    edges: Edges = setting(
        "bounce: the digit turns at the edges; wrap: it comes in on the other side: the null motion is always right",
        default="bounce",
        choices=("bounce", "wrap"),
    )
    motions: int = setting(
        "sequences of a digit that show it at one place in the last context image, each moving in a way of its own",
        default=4,
        at_least=1,
        at_most=8,
    )
    noise: float = setting(
        "standard deviation of noise on every pixel, then clamped to 0 … 1", default=0.0, at_least=0, at_most=1
    )
    validation_share: float = setting("share of digit images that validate", default=0.1, above=0, below=1)

    def num_bytes(self) -> int:
        """Of all frames, float32."""
        return 4 * self.num_sequences * (self.context_length + 1) * self.side**2

    def build(self, facts: DatasetFacts) -> SequenceDataset:  # noqa: ARG002  # the same data under every run's seed
        """The same images for the same settings, under one version of torch."""
        generator = torch.Generator().manual_seed(self.seed)
        images, classes = packed_digits()
        num_meetings = math.ceil(self.num_sequences / self.motions)
        chosen = torch.randperm(len(images), generator=generator)[:num_meetings]
        tasks = (torch.arange(num_meetings) % len(chosen)).repeat_interleave(self.motions)[: self.num_sequences]
        motions = Motions.of(self.side, self.edges, self.context_length)
        places = motions.draw(num_meetings, self.motions, generator)[: self.num_sequences]
        pixels = drawn_frames(images[chosen[tasks]], places, self.side)
        if self.noise > 0:
            pixels = (pixels + self.noise * torch.randn(pixels.shape, generator=generator)).clamp(0, 1)
        train, validation = TaskSplit(share=self.validation_share, seed=self.seed).apply(
            Observations({"pixels": pixels}),
            tasks=tasks,
            labels={"digit": classes[chosen[tasks]], "direction": _direction(places)},
        )
        return SequenceDataset(
            space=ImageSpace(channels=1, height=self.side, width=self.side),
            train=train,
            validation=validation,
            task_names=tuple(f"image {number}: {classes[number]}" for number in chosen.tolist()),
            description=f"{self.num_sequences:,} sequences of {len(chosen):,} moving digits",
            fingerprint=fingerprint(train, validation),
        )


def packed_digits() -> tuple[Tensor, Tensor]:
    """(K, 8, 8) float32 between 0 and 1, and (K,) int64: which digits they are."""
    packed = files("jepa_plugins.images").joinpath("data", "digits.npz").read_bytes()
    with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
        return torch.from_numpy(archive["images"]).float() / 16, torch.from_numpy(archive["labels"]).long()


def drawn_frames(digits: Tensor, places: Tensor, side: int) -> Tensor:
    """Digits (S, 8, 8) with their top left corners at places (S, T+1, 2) to (S, T+1, 1, side, side).

    What lies beyond the last row or column comes in at the first.
    """
    # A ninth row and column are the dark ground of every pixel that the digit does not cover.
    padded = F.pad(digits, (0, 1, 0, 1))
    frames = [
        _drawn(part, part_places, side)
        for part, part_places in zip(padded.split(_SEQUENCES_AT_ONCE), places.split(_SEQUENCES_AT_ONCE), strict=True)
    ]
    return torch.cat(frames).unsqueeze(2)


def _drawn(padded: Tensor, places: Tensor, side: int) -> Tensor:
    within = (torch.arange(side) - places.unsqueeze(3)) % side
    rows, columns = within.clamp(max=_DIGIT_SIDE).unbind(2)
    index = rows.unsqueeze(3) * (_DIGIT_SIDE + 1) + columns.unsqueeze(2)
    return padded.flatten(1).gather(1, index.flatten(1)).view(index.shape)


@attrs.frozen(eq=False)
class Motions:
    """All motions that pass through each place of a canvas at the last context frame."""

    courses: Tensor
    """(A, G, T+1): on one axis, the places of all frames, by the last context frame's place and the speed."""
    is_offered: Tensor
    """(A · A, G · G) bool: by place and velocity, whether the motion can be told from its context, leads elsewhere,
    and is the first to lead there."""

    @classmethod
    def of(cls, side: int, edges: Edges, context_length: int) -> Motions:
        folded, num_places = _axis(side, edges)
        speeds = torch.arange(-_MAX_SPEED, _MAX_SPEED + 1)
        ticks = torch.arange(context_length + 1) - (context_length - 1)
        places = torch.arange(num_places)
        courses = folded(places[:, None, None] + speeds[:, None] * ticks)
        targets = courses[..., -1]
        looks_alike = (courses[:, :, None, :-1] == courses[:, None, :, :-1]).all(3)
        is_told = ~(looks_alike & (targets[:, :, None] != targets[:, None])).any(2)
        both_told = is_told[:, None, :, None] & is_told[None, :, None, :]
        target = targets[:, None, :, None] * num_places + targets[None, :, None, :]
        is_same = target == (places[:, None] * num_places + places)[..., None, None]
        is_offered = (both_told & ~is_same).flatten(2).flatten(0, 1)
        return cls(courses, is_offered & _is_first(target.flatten(2).flatten(0, 1), is_offered))

    def draw(self, num_meetings: int, num_motions: int, generator: torch.Generator) -> Tensor:
        """(E · num_motions, T+1, 2): for each meeting a place, and courses through it to different targets."""
        possible = (self.is_offered.sum(1) >= num_motions).nonzero().squeeze(1)
        meeting = possible[torch.randint(len(possible), (num_meetings,), generator=generator)]
        draws = torch.rand(num_meetings, self.is_offered.shape[1], generator=generator)
        velocity = torch.where(self.is_offered[meeting], draws, -1.0).topk(num_motions, dim=1).indices.flatten()
        meeting = meeting.repeat_interleave(num_motions)
        num_places, num_speeds = self.courses.shape[:2]
        rows = self.courses[meeting // num_places, velocity // num_speeds]
        columns = self.courses[meeting % num_places, velocity % num_speeds]
        return torch.stack([rows, columns], dim=2)


def _axis(side: int, edges: Edges) -> tuple[Callable[[Tensor], Tensor], int]:
    """What brings a place back onto the canvas, and how many places there are."""
    if edges == "wrap":
        return lambda places: places % side, side
    last = side - _DIGIT_SIDE

    def bounced(places: Tensor) -> Tensor:
        there_and_back = places % (2 * last)
        return torch.minimum(there_and_back, 2 * last - there_and_back)

    return bounced, last + 1


def _is_first(target: Tensor, is_offered: Tensor) -> Tensor:
    """Targets (A · A, G · G) to as many bool: whether no earlier motion that is offered leads to the same."""
    earlier = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).tril(-1)
    return ~((target[:, :, None] == target[:, None]) & is_offered[:, None] & earlier).any(2)


def _direction(places: Tensor) -> Tensor:
    """Places (S, T+1, 2) to (S,) of 0 … 7: which of the eight neighbouring ways the last step goes, from up and left to
    down and right. On a canvas that wraps around, the shorter way."""
    step = places[:, -1] - places[:, -2]
    signs = torch.where(step.abs() > _MAX_SPEED, -step.sign(), step.sign())
    way = (signs[:, 0] + 1) * 3 + signs[:, 1] + 1
    return way - (way > 4).long()
