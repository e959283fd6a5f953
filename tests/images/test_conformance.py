"""Every component of images keeps the contract of its family."""

from __future__ import annotations

import pytest

from jepa_core.conformance.catalogue import checks_of
from jepa_core.conformance.checking import run_check
from jepa_core.contracts import ComponentConfig
from jepa_core.plugins.components import Component
from jepa_plugins.images.augmentations import BrightnessConfig, FlipConfig, ShiftConfig
from jepa_plugins.images.datasets.moving_digits import MovingDigitsConfig
from jepa_plugins.images.encoders.convnet import ConvnetConfig
from jepa_plugins.images.encoders.vit import VitConfig
from jepa_plugins.images.nulls.linear import FrameExtrapolationConfig, LastFrameConfig, MeanFrameConfig
from jepa_plugins.images.nulls.motion import MotionConfig

COMPONENTS: list[tuple[str, type[ComponentConfig]]] = [
    ("encoder", VitConfig),
    ("encoder", ConvnetConfig),
    ("null", LastFrameConfig),
    ("null", MeanFrameConfig),
    ("null", FrameExtrapolationConfig),
    ("null", MotionConfig),
    ("augmentation", FlipConfig),
    ("augmentation", ShiftConfig),
    ("augmentation", BrightnessConfig),
    ("dataset", MovingDigitsConfig),
]


@pytest.mark.parametrize(("family", "config_class"), COMPONENTS, ids=lambda value: getattr(value, "kind", value))
def test_it_keeps_the_contract(family: str, config_class: type[ComponentConfig]) -> None:
    component = Component(
        family=family, name=config_class.kind, config_class=config_class, distribution="x", version="1"
    )
    results = [run_check(check, component) for check in checks_of(family)]
    assert [result for result in results if result.outcome == "failed"] == []
    assert sum(result.outcome == "passed" for result in results) > len(results) / 2
