"""What is said of images before training."""

from __future__ import annotations

import pytest
import torch

from jepa_core.observations import Observations
from jepa_plugins.images.space import ImageSpace
from tests.images.random_images import random_images

SPACE = ImageSpace(channels=2, height=6, width=5)


def test_it_gives_size_range_and_mean() -> None:
    images = random_images(7, 3, channels=2)
    pixels = images["pixels"]
    audit = SPACE.audit(images, None)
    assert audit.figures["pixels.mean"] == pytest.approx(float(pixels.mean()))
    assert audit.figures["pixels.minimum"] == float(pixels.min())
    assert audit.figures["pixels.maximum"] == float(pixels.max())
    assert audit.lines[0][1].startswith("6 × 5 pixels · 2 channels · values ")
    assert audit.findings == ()


def test_images_of_a_single_value_are_found_and_advised_against() -> None:
    pixels = random_images(10, 2, channels=2)["pixels"]
    pixels[:3, 0] = torch.tensor([0.2, 0.7])[:, None, None]
    pixels[0, 1] = 0.0
    pixels[9, 1, 0] = 0.5  # its other channel shows something
    audit = SPACE.audit(Observations({"pixels": pixels}), None)
    [finding] = audit.findings
    assert finding.name == "constant images"
    assert finding.severity == "warning"
    assert finding.evidence == {"images": pytest.approx(0.2), "targets": pytest.approx(0.1)}
    assert "20 % of the images" in finding.message
    assert finding.advice
    assert audit.lines[1] == ("constant", "20 % of images, 10 % of targets")
