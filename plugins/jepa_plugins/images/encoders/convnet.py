"""A small residual convolutional network (arXiv 1512.03385; pre-activation blocks, 1603.05027).

Group normalisation (arXiv 1803.08494) instead of batch normalisation: an image is treated as if it were alone. A single
group, since the first stages are narrow and small images end with a cell or two, where groups of few values lose them.
Two further input channels tell the network rows and columns (CoordConv, arXiv 1807.03247): convolutions do not know
where they look, and what is pooled afterwards could not say where a thing was.

Shapes: M images of C channels and H × W pixels, N cells of the last feature map, D dimension.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Observations, Space
from jepa_core.facts import EncoderFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.images.space import ImageSpace


@attrs.frozen(kw_only=True)
class ConvnetConfig:
    """Residual convolutional network; the cells of its last feature map are tokens."""

    kind: ClassVar[str] = "convnet"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (ImageSpace,)

    dim: int = setting(
        "embedding dimension: channels of the last stage; each before it has half", default=128, at_least=1
    )
    stages: int = setting("stages; each after the first halves height and width", default=3, at_least=1, at_most=8)
    blocks: int = setting("residual blocks of a stage", default=1, at_least=1)
    stem_stride: int = setting(
        "stride of the first convolution: 2 takes a quarter of the time, and sees fine strokes less well",
        default=1,
        at_least=1,
        at_most=4,
    )
    coordinates: bool = setting("give the network the row and the column of every pixel", default=True)
    dropout: float = setting("dropout between the convolutions of a block", default=0.0, at_least=0, below=1)

    def build(self, facts: EncoderFacts) -> ConvolutionalNetwork:
        return ConvolutionalNetwork(self, facts.space)


class ConvolutionalNetwork(nn.Module):
    """Every cell of the last feature map is a token."""

    coordinates: Tensor | None

    def __init__(self, config: ConvnetConfig, space: ImageSpace) -> None:
        super().__init__()
        widths = [max(1, config.dim >> halvings) for halvings in range(config.stages - 1, -1, -1)]
        coordinates = _coordinates(space.height, space.width) if config.coordinates else None
        self.register_buffer("coordinates", coordinates, persistent=False)
        self.embedding_dim = config.dim
        stride = config.stem_stride
        sides = [_halved(math.ceil(side / stride), config.stages - 1) for side in (space.height, space.width)]
        self.num_tokens = math.prod(sides)
        num_inputs = space.channels + (2 if config.coordinates else 0)
        self.stem = nn.Conv2d(num_inputs, widths[0], 3, stride=stride, padding=1)
        blocks = []
        for number, width in enumerate(widths):
            before = widths[max(0, number - 1)]
            blocks.append(ResidualBlock(before, width, stride=2 if number else 1, dropout=config.dropout))
            blocks += [ResidualBlock(width, width, dropout=config.dropout) for _ in range(config.blocks - 1)]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(config.dim)
        # The layout that convolutions are fastest in, on processors and on tensor cores.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub leaves it out

    def forward(self, observations: Observations) -> Embeddings:
        """`pixels` (M, C, H, W) to tokens (M, N, D), cells in scan order."""
        pixels = observations["pixels"]
        if self.coordinates is not None:
            places = self.coordinates.to(pixels.dtype).expand(pixels.shape[0], -1, -1, -1)
            pixels = torch.cat([pixels, places], dim=1)
        features_MDHW = self.blocks(self.stem(pixels.contiguous(memory_format=torch.channels_last)))
        values = self.norm(features_MDHW.flatten(2).transpose(1, 2))
        return Embeddings(values, torch.ones(values.shape[:2], dtype=torch.bool, device=values.device))


class ResidualBlock(nn.Module):
    """Twice normalise, GELU and 3 × 3 convolution, added to the input; that is projected where its shape differs."""

    def __init__(self, input_dim: int, dim: int, *, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = _ImageNorm(1, input_dim)
        self.first = nn.Conv2d(input_dim, dim, 3, stride=stride, padding=1, bias=False)
        self.second_norm = _ImageNorm(1, dim)
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Conv2d(dim, dim, 3, padding=1)
        is_alike = stride == 1 and input_dim == dim
        self.shortcut = nn.Identity() if is_alike else nn.Conv2d(input_dim, dim, 1, stride=stride)

    def forward(self, input_MCHW: Tensor) -> Tensor:
        """(M, C, H, W) to (M, D, ⌈H / stride⌉, ⌈W / stride⌉)."""
        hidden = self.first(F.gelu(self.norm(input_MCHW)))
        hidden = self.second(self.dropout(F.gelu(self.second_norm(hidden))))
        summed: Tensor = self.shortcut(input_MCHW) + hidden
        return summed


class _ImageNorm(nn.GroupNorm):
    """Also of a single value, of an image of one pixel and one channel, which torch's own refuses."""

    def forward(self, input_MCHW: Tensor) -> Tensor:
        return torch.group_norm(input_MCHW, self.num_groups, self.weight, self.bias, self.eps)


def _coordinates(height: int, width: int) -> Tensor:
    """(2, H, W): row and column of every pixel, from −1 to 1; 0 where there is one.

    Without arithmetic on tensors: on the meta device, where a stored model is built before its weights are read, that
    would load torch's compiler, which takes seconds.
    """
    rows, columns = ([(2 * index - (side - 1)) / max(1, side - 1) for index in range(side)] for side in (height, width))
    return torch.tensor([[[row] * width for row in rows], [columns] * height])


def _halved(side: int, times: int) -> int:
    """A side after so many convolutions of stride 2."""
    return math.ceil(side / (1 << times))
