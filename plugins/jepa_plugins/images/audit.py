"""What is to be said of images before anything is trained on them: size, range, and images with nothing in them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from jepa_core.spaces import SpaceAudit
from jepa_core.watch.findings import Finding

_ROWS_AT_ONCE = 4096


def audited_images(pixels: Tensor) -> SpaceAudit:
    """Of images (S, T+1, C, H, W)."""
    channels, height, width = pixels.shape[2:]
    lowest, highest = float(pixels.min()), float(pixels.max())
    total = sum(float(part.sum(dtype=torch.float64)) for part in pixels.split(_ROWS_AT_ONCE))
    mean = total / pixels.numel()
    constant = _is_constant(pixels)
    constant_images, constant_targets = float(constant.float().mean()), float(constant[:, -1].float().mean())
    return SpaceAudit(
        figures={
            "height": float(height),
            "width": float(width),
            "channels": float(channels),
            "pixels.minimum": lowest,
            "pixels.mean": mean,
            "pixels.maximum": highest,
            "constant_images": constant_images,
            "constant_targets": constant_targets,
        },
        lines=(
            (
                "images",
                f"{height} × {width} pixels · {channels} channel{'' if channels == 1 else 's'} · "
                f"values {lowest:.3g}–{mean:.3g}–{highest:.3g} (least, mean, most)",
            ),
            ("constant", f"{100 * constant_images:.3g} % of images, {100 * constant_targets:.3g} % of targets"),
        ),
        findings=tuple(_findings(constant_images, constant_targets)),
    )


def _findings(constant_images: float, constant_targets: float) -> Iterator[Finding]:
    if constant_images > 0:
        yield Finding(
            name="constant images",
            severity="warning",
            message=f"{100 * constant_images:.3g} % of the images have a single value in all pixels; of the targets it "
            f"is {100 * constant_targets:.3g} %.",
            evidence={"images": constant_images, "targets": constant_targets},
            advice="Nothing can be read off such images, and as targets they are one candidate: leave out blank "
            "frames, and see whether the values were scaled before they were rounded.",
        )


def _is_constant(pixels: Tensor) -> Tensor:
    """(S, T+1) bool: every channel has one value all over the image."""
    parts = []
    for part in pixels.split(_ROWS_AT_ONCE):
        by_channel = part.flatten(3)
        parts.append((by_channel == by_channel[..., :1]).flatten(2).all(2))
    return torch.cat(parts)
