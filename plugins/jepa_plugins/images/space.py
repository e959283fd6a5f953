"""The space of images: `pixels` (…, C, H, W) float32 between 0 and 1.

Shapes: C channels, H × W pixels; V lists of N images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.errors import DataError
from jepa_core.observations import Observations
from jepa_core.settings import setting
from jepa_core.spaces import Edit, Fill, SpaceAudit, require, shape_text
from jepa_plugins.images.audit import audited_images
from jepa_plugins.images.edits import Palette, edited
from jepa_plugins.vectors.real_values import keys_of, parts_of

_LISTS_AT_ONCE = 32


@attrs.frozen(kw_only=True)
class ImageSpace:
    """Images of `height` × `width` pixels with `channels` channels, every value between 0 and 1."""

    kind: ClassVar[str] = "image"
    plural: ClassVar[str] = "images"

    channels: int = setting("values of a pixel: 1 is grey, 3 are red, green and blue", at_least=1)
    height: int = setting("rows of an image", at_least=1, unit="pixels")
    width: int = setting("columns of an image", at_least=1, unit="pixels")

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A usual one, higher than wide, and one of a single pixel."""
        return cls(channels=1, height=9, width=8), cls(channels=1, height=1, width=1)

    def sample(self, num: int, fill: Fill = "some") -> Observations:
        """(num, C, H, W): noise, noise in a rectangle on a dark ground, or dark all over."""
        noise = torch.rand(num, *self._shape)
        share = {"some": None, "none": 0.0, "all": 1.0}[fill]
        holds = _in_rectangle(num, self.height, self.width) if share is None else torch.tensor(share > 0)
        return Observations({"pixels": torch.where(holds, noise, 0.0)})

    def check(self, observations: Observations) -> None:
        """`pixels` (S, T+1, C, H, W) float32, finite, between 0 and 1.

        Raises:
            ValueError: it is not so.
        """
        names = ", ".join(observations.tensors)
        require(names == "pixels", f"its tensors are {names}: images have pixels alone")
        pixels = observations["pixels"]
        require(pixels.dtype == torch.float32, f"pixels are {pixels.dtype}, not torch.float32{_hint(pixels.dtype)}")
        shape = tuple(pixels.shape[-3:])
        require(
            shape == self._shape,
            f"images are {shape_text(shape)} (channels × height × width), not {shape_text(self._shape)}{_order(shape)}",
        )
        start = 0
        for part in parts_of(pixels):
            # A value that is no number fails both comparisons, and so is wrong, too.
            wrong = ~((part >= 0) & (part <= 1))
            if wrong.any():
                place = wrong.nonzero()[0].tolist()
                value = float(part[tuple(place)])
                where = [start + place[0], *place[1:]]
                raise ValueError(
                    f"a pixel is {value:.4g} at {where}: pixels are finite, between 0 and 1. "
                    + _remedy(value, float(part.nan_to_num(0.0, 0.0, 0.0).max()))
                )
            start += len(part)

    def describe(self) -> str:
        """In the plural."""
        channels = f"{self.channels} channel" + ("" if self.channels == 1 else "s")
        return f"images of {self.height} × {self.width} pixels with {channels}"

    def fitted(self, observations: Observations) -> Observations:
        """(…, C, h, w) to (…, C, H, W): smaller images stand top left on a dark ground.

        Raises:
            DataError: they are larger, or have other channels.
        """
        pixels = observations["pixels"]
        channels, height, width = pixels.shape[-3:]
        if channels != self.channels or height > self.height or width > self.width:
            other = ImageSpace(channels=channels, height=height, width=width)
            raise DataError(
                f"The weights take {self.describe()}, and this data has {other.describe()}. "
                + (
                    f"Give images of {self.channels} channels, with --set data.channels={self.channels} where the "
                    "dataset has it."
                    if channels != self.channels
                    else f"Give images of at most {self.height} × {self.width} pixels, with "
                    f"--set data.height={self.height} --set data.width={self.width} where the dataset has them."
                )
            )
        return Observations({"pixels": F.pad(pixels, (0, self.width - width, 0, self.height - height))})

    def keys(self, observations: Observations) -> Tensor:
        """(…) int64, of the bits of the pixels."""
        return keys_of(observations["pixels"], 3)

    def alike(self, observations: Observations) -> Tensor:
        """(V, N, C, H, W) to (V, N, N) in [0, 1]: 1 − mean absolute difference of pixels."""
        lists = observations["pixels"].flatten(2)
        distances = [torch.cdist(part, part, p=1.0) for part in lists.split(_LISTS_AT_ONCE)]
        return 1 - torch.cat(distances) / lists.shape[2]

    def editor(self, sequences: Observations) -> Edit:
        """A part mirrored, two parts exchanged, a shift by one pixel or two channels exchanged; else one pixel.

        For one image (S, C, H, W) of each sequence (S, T+1, C, H, W).
        """
        palette = Palette.of(sequences["pixels"])

        def edit(observations: Observations) -> Observations:
            return Observations({"pixels": edited(observations["pixels"], palette)})

        return edit

    def features(self, observations: Observations) -> Mapping[str, Tensor]:
        """Pixels as they stand, and with what is bright moved to the middle."""
        pixels = observations["pixels"]
        return {"pixels": pixels.flatten(1), "centred pixels": _centred(pixels).flatten(1)}

    def pictures(self, observations: Observations) -> Tensor:
        """(M, H, W, 3): colours of three channels, else the first channel as grey."""
        pixels = observations["pixels"]
        return (pixels if self.channels == 3 else pixels[:, :1].expand(-1, 3, -1, -1)).movedim(1, -1)

    def audit(self, observations: Observations, encoder: Any) -> SpaceAudit:  # noqa: ARG002  # every encoder suits them
        """Size, range and mean of the values, and images of a single value."""
        return audited_images(observations["pixels"])

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width


def _centred(pixels: Tensor) -> Tensor:
    """(M, C, H, W), each wrapped around so that what is brighter than its median has its centre in the middle."""
    brightness = (pixels - pixels.flatten(1).median(1).values[:, None, None, None]).clamp(min=0).sum(1)
    total = brightness.sum((1, 2)).clamp(min=torch.finfo(pixels.dtype).tiny)
    moved = pixels
    for dim, of_lines in ((2, brightness.sum(2)), (3, brightness.sum(1))):
        places = torch.arange(pixels.shape[dim], device=pixels.device)
        shift = ((of_lines * places).sum(1) / total - (len(places) - 1) / 2).round().long()
        source = (places + shift[:, None]) % len(places)
        source = source[:, None, :, None] if dim == 2 else source[:, None, None, :]
        moved = moved.gather(dim, source.expand_as(moved))
    return moved


def _in_rectangle(num: int, height: int, width: int) -> Tensor:
    """(num, 1, H, W) bool: the pixels of a random rectangle in each image."""
    rows, columns = (torch.rand(num, 2, 1).mul(side + 1).long().sort(1).values for side in (height, width))
    of_height, of_width = torch.arange(height), torch.arange(width)
    in_rows = (of_height >= rows[:, 0]) & (of_height < rows[:, 1])
    in_columns = (of_width >= columns[:, 0]) & (of_width < columns[:, 1])
    return (in_rows[:, :, None] & in_columns[:, None, :]).unsqueeze(1)


def _hint(dtype: torch.dtype) -> str:
    """What is likely meant by pixels of another type."""
    if dtype.is_floating_point:
        return ": convert them with .float()"
    if dtype == torch.uint8:
        return ": divide whole pixels by 255, as in pixels.float() / 255"
    return ": scale them to [0, 1] as floats (bytes are divided by 255)"


def _order(shape: tuple[int, ...]) -> str:
    """A hint where the channels stand last."""
    last_is_channels = len(shape) == 3 and shape[2] in (1, 3) and shape[0] not in (1, 3)
    return ": channels come first, as after pixels.movedim(-1, -3)" if last_is_channels else ""


def _remedy(value: float, largest: float) -> str:
    if not math.isfinite(value):
        return "Leave such images out, or repair them."
    if largest > 2 and value >= 0:
        return "Whole pixels of 0 … 255 are divided by 255."
    return "Scale them, such as by (pixels − lowest) / (highest − lowest), or clamp them."
