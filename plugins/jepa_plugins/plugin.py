"""The plugin behind the entry point `builtin`: which component belongs to which family."""

from __future__ import annotations

from jepa_core.hookspecs import hookimpl
from jepa_plugins.aggregators.attention import AttentionConfig
from jepa_plugins.aggregators.attention_pool import AttentionPoolConfig
from jepa_plugins.aggregators.last import LastConfig
from jepa_plugins.aggregators.mean import MeanConfig
from jepa_plugins.datasets.arc import ArcConfig
from jepa_plugins.datasets.manifest import ManifestConfig
from jepa_plugins.datasets.traces import TracesConfig
from jepa_plugins.encoders.cells import CellsConfig
from jepa_plugins.encoders.objects import ObjectsConfig
from jepa_plugins.losses.info_nce import InfoNceConfig
from jepa_plugins.losses.invariance import InvarianceConfig
from jepa_plugins.losses.relational import RelationalConfig
from jepa_plugins.losses.sigreg import SigregConfig
from jepa_plugins.losses.vicreg import VicregConfig
from jepa_plugins.observers.tensorboard import TensorboardConfig
from jepa_plugins.observers.wandb import WandbConfig
from jepa_plugins.predictors.identity import IdentityConfig
from jepa_plugins.predictors.mlp import MlpConfig
from jepa_plugins.quantizers.ema_vq import EmaVqConfig
from jepa_plugins.quantizers.fsq import FsqConfig
from jepa_plugins.quantizers.none import NoneConfig


@hookimpl
def jepa_datasets() -> list[type]:
    return [ArcConfig, ManifestConfig, TracesConfig]


@hookimpl
def jepa_encoders() -> list[type]:
    return [CellsConfig, ObjectsConfig]


@hookimpl
def jepa_quantizers() -> list[type]:
    return [NoneConfig, EmaVqConfig, FsqConfig]


@hookimpl
def jepa_aggregators() -> list[type]:
    return [MeanConfig, AttentionConfig, LastConfig, AttentionPoolConfig]


@hookimpl
def jepa_predictors() -> list[type]:
    return [IdentityConfig, MlpConfig]


@hookimpl
def jepa_losses() -> list[type]:
    return [InfoNceConfig, RelationalConfig, SigregConfig, VicregConfig, InvarianceConfig]


@hookimpl
def jepa_observers() -> list[type]:
    return [TensorboardConfig, WandbConfig]
