"""Augmentations of images: one draw per sequence, the same for all its images, on their device.

What goes on in a sequence of images still goes on when all of them are changed alike: mirrored, moved, turned, or made
lighter.

Shapes: B sequences of T + 1 images of C channels and H × W pixels.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Observations, Space, ViewTransform
from jepa_core.facts import AugmentationFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.images.space import ImageSpace


@attrs.frozen(kw_only=True)
class FlipConfig:
    """All images of a sequence mirrored, left and right, top and bottom, or both."""

    kind: ClassVar[str] = "flip"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (ImageSpace,)

    horizontal: bool = setting("left and right change places in half of the sequences", default=True)
    vertical: bool = setting("top and bottom change places in half of the sequences", default=True)

    def __attrs_post_init__(self) -> None:
        if not (self.horizontal or self.vertical):
            raise ValueError("horizontal or vertical must be true: with neither nothing is flipped (got false, false)")

    def build(self, facts: AugmentationFacts) -> ViewTransform:  # noqa: ARG002  # the same on images of every size
        def flip(batch: Observations) -> Observations:
            pixels = batch["pixels"]
            for dim, is_on in ((-1, self.horizontal), (-2, self.vertical)):
                if is_on:
                    is_flipped = _per_sequence(torch.rand(len(pixels), device=pixels.device) < 0.5)
                    pixels = torch.where(is_flipped, pixels.flip(dim), pixels)
            return Observations({"pixels": pixels})

        return flip


@attrs.frozen(kw_only=True)
class ShiftConfig:
    """All images of a sequence moved alike; what leaves on one side comes in on the other."""

    kind: ClassVar[str] = "shift"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (ImageSpace,)

    pixels: int = setting("largest shift in each direction", default=2, at_least=1, unit="pixels")

    def build(self, facts: AugmentationFacts) -> ViewTransform:  # noqa: ARG002  # the same on images of every size
        def shift(batch: Observations) -> Observations:
            pixels = batch["pixels"]
            for dim in (-1, -2):
                pixels = _rolled(pixels, self._drawn(pixels), dim)
            return Observations({"pixels": pixels})

        return shift

    def _drawn(self, pixels: Tensor) -> Tensor:
        """(B,) int64, of −pixels … pixels."""
        return torch.randint(-self.pixels, self.pixels + 1, (len(pixels),), device=pixels.device)


@attrs.frozen(kw_only=True)
class BrightnessConfig:
    """All images of a sequence lighter or darker by one factor."""

    kind: ClassVar[str] = "brightness"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (ImageSpace,)

    strength: float = setting("factors are drawn from 1 − strength to 1 + strength", default=0.2, above=0, at_most=1)

    def build(self, facts: AugmentationFacts) -> ViewTransform:  # noqa: ARG002  # the same on images of every size
        def brighten(batch: Observations) -> Observations:
            pixels = batch["pixels"]
            factor = 1 + self.strength * (2 * torch.rand(len(pixels), device=pixels.device) - 1)
            return Observations({"pixels": (pixels * _per_sequence(factor)).clamp(0, 1)})

        return brighten


@attrs.frozen(kw_only=True)
class AffineConfig:
    """All images of a sequence turned, scaled and sheared alike about their centre, by bilinear interpolation."""

    kind: ClassVar[str] = "affine"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (ImageSpace,)

    rotation: float = setting("largest turn in each direction", default=10.0, at_least=0, at_most=180, unit="degrees")
    scale: float = setting("sizes are multiplied by 1 − scale to 1 + scale", default=0.1, at_least=0, below=1)
    shear: float = setting("largest shear, as the tangent of its angle", default=0.1, at_least=0, at_most=1)

    def __attrs_post_init__(self) -> None:
        if not (self.rotation or self.scale or self.shear):
            raise ValueError("one of rotation, scale, shear must be > 0 (all are 0): with none nothing is changed")

    def build(self, facts: AugmentationFacts) -> ViewTransform:  # noqa: ARG002  # the same on images of every size
        def transform(batch: Observations) -> Observations:
            pixels = batch["pixels"]
            num_images = pixels.shape[1]
            grid = F.affine_grid(self._drawn(pixels), [len(pixels), 1, *pixels.shape[-2:]], align_corners=False)
            # One grid serves all images of a sequence: they go in as its channels.
            moved = F.grid_sample(pixels.flatten(1, 2).float(), grid, align_corners=False)
            return Observations({"pixels": moved.to(pixels.dtype).unflatten(1, (num_images, -1))})

        return transform

    def _drawn(self, pixels: Tensor) -> Tensor:
        """(B, 2, 3): where each sequence's pixels come from."""
        height, width = pixels.shape[-2:]
        draws = 2 * torch.rand(3, len(pixels), device=pixels.device) - 1
        angle, shear = math.radians(self.rotation) * draws[0], self.shear * draws[1]
        size = 1 + self.scale * draws[2]
        cos, sin = angle.cos() / size, angle.sin() / size
        # Angles are those of pixels; the grid counts in halves of the sides, which may differ.
        aspect = height / width
        across = torch.stack([cos, (shear * cos - sin) * aspect])
        down = torch.stack([sin / aspect, shear * sin + cos])
        return F.pad(torch.stack([across, down]).permute(2, 0, 1), (0, 1))


def _per_sequence(values: Tensor) -> Tensor:
    """(B,) to (B, 1, 1, 1, 1)."""
    return values[:, None, None, None, None]


def _rolled(pixels: Tensor, steps: Tensor, dim: int) -> Tensor:
    """(B, T+1, C, H, W) moved around along a dimension, each sequence by its own (B,) steps."""
    side = pixels.shape[dim]
    source = (torch.arange(side, device=pixels.device) - steps[:, None]) % side
    shape = [len(pixels), 1, 1, 1, 1]
    shape[dim] = side
    return pixels.gather(dim, source.view(shape).expand_as(pixels))
