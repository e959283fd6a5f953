"""The plugin behind the entry point `points`: which component belongs to which family. A space needs no hook."""

from __future__ import annotations

from jepa_core.hookspecs import hookimpl
from jepa_points.augmentation import RotatePointsConfig
from jepa_points.dataset import PointCloudsConfig
from jepa_points.encoder import PointEncoderConfig
from jepa_points.nulls import LastPointsConfig, MovedPointsConfig

JEPA_CONTRACT = 2


@hookimpl
def jepa_datasets() -> list[type]:
    return [PointCloudsConfig]


@hookimpl
def jepa_augmentations() -> list[type]:
    return [RotatePointsConfig]


@hookimpl
def jepa_encoders() -> list[type]:
    return [PointEncoderConfig]


@hookimpl
def jepa_nulls() -> list[type]:
    return [LastPointsConfig, MovedPointsConfig]
