"""The plugin behind the entry point `builtin`: which component belongs to which family."""

from __future__ import annotations

from jepa_core.hookspecs import hookimpl
from jepa_plugins.aggregators import extrapolation
from jepa_plugins.aggregators.analogy import AnalogyConfig
from jepa_plugins.aggregators.attention import AttentionConfig
from jepa_plugins.aggregators.attention_pool import AttentionPoolConfig
from jepa_plugins.aggregators.last import LastConfig
from jepa_plugins.aggregators.mean import MeanConfig
from jepa_plugins.arrays.dataset import ArraysConfig
from jepa_plugins.benchmarks.attention import AttentionBenchmark
from jepa_plugins.benchmarks.codebook import CodebookBenchmark
from jepa_plugins.benchmarks.contrast import ContrastBenchmark
from jepa_plugins.benchmarks.tokeniser import TokeniserBenchmark
from jepa_plugins.grids.augmentations import (
    ColoursConfig,
    DihedralConfig,
    EnlargeConfig,
    OutputsConfig,
    TranslationConfig,
    WrapConfig,
)
from jepa_plugins.grids.datasets.arc import ArcConfig
from jepa_plugins.grids.datasets.manifest import ManifestConfig
from jepa_plugins.grids.datasets.traces import TracesConfig
from jepa_plugins.grids.encoders.cells import CellsConfig
from jepa_plugins.grids.encoders.colour_blocks import ColourBlocksConfig
from jepa_plugins.grids.encoders.objects import ObjectsConfig
from jepa_plugins.grids.encoders.patterns import PatternsConfig
from jepa_plugins.grids.invariance import InvarianceConfig
from jepa_plugins.grids.nulls.equal_cells import EqualCellsConfig
from jepa_plugins.grids.nulls.linear import ExtrapolationConfig, PairAnalogyConfig, PaletteAndSizeConfig
from jepa_plugins.grids.nulls.local_patterns import LocalPatternsConfig
from jepa_plugins.images.augmentations import AffineConfig, BrightnessConfig, FlipConfig, ShiftConfig
from jepa_plugins.images.datasets.images import ImageFolderConfig
from jepa_plugins.images.datasets.moving_digits import MovingDigitsConfig
from jepa_plugins.images.encoders.convnet import ConvnetConfig
from jepa_plugins.images.encoders.vit import VitConfig
from jepa_plugins.images.nulls.linear import FrameExtrapolationConfig, LastFrameConfig, MeanFrameConfig
from jepa_plugins.images.nulls.motion import MotionConfig
from jepa_plugins.losses.info_nce import InfoNceConfig
from jepa_plugins.losses.relational import RelationalConfig
from jepa_plugins.losses.sigreg import SigregConfig
from jepa_plugins.losses.vicreg import VicregConfig
from jepa_plugins.losses.view_contrast import ViewContrastConfig
from jepa_plugins.observers.tensorboard import TensorboardConfig
from jepa_plugins.observers.wandb import WandbConfig
from jepa_plugins.predictors.identity import IdentityConfig
from jepa_plugins.predictors.mlp import MlpConfig
from jepa_plugins.quantizers.ema_vq import EmaVqConfig
from jepa_plugins.quantizers.fsq import FsqConfig
from jepa_plugins.quantizers.none import NoneConfig
from jepa_plugins.scenarios.clipping import ClippingSaturatedConfig
from jepa_plugins.scenarios.codebook import CodebookCollapseConfig, CodebookShockConfig, CodebookSlideConfig
from jepa_plugins.scenarios.context_use import AttentionUniformConfig, OrderIgnoredConfig
from jepa_plugins.scenarios.learning_rate import LrAtFloorConfig
from jepa_plugins.scenarios.loss_balance import (
    LevelLeftConfig,
    LossDeadConfig,
    LossExplodesConfig,
    LossTakesOverConfig,
)
from jepa_plugins.scenarios.non_finite import NonFiniteConfig
from jepa_plugins.scenarios.rank import RankCollapseConfig, RankStuckConfig
from jepa_plugins.scenarios.target_distance import TargetDriftsConfig, TargetEqualConfig
from jepa_plugins.scenarios.temperature import TemperatureAtBoundConfig
from jepa_plugins.scenarios.throughput import ThroughputDroppedConfig
from jepa_plugins.scenarios.validation import BelowStrongestNullConfig, ValidationDegradesConfig
from jepa_plugins.seed.ema_vq import SeedEmaVqConfig
from jepa_plugins.seed.info_nce import SeedInfoNceConfig
from jepa_plugins.seed.invariance import SeedInvarianceConfig
from jepa_plugins.seed.objects import SeedObjectsConfig
from jepa_plugins.seed.relational import SeedRelationalConfig
from jepa_plugins.seed.sigreg import SeedSigregConfig
from jepa_plugins.series.demo import SeriesDemoConfig
from jepa_plugins.series.encoder import SeriesEncoderConfig
from jepa_plugins.series.nulls import ContinuedConfig
from jepa_plugins.vectors.mlp import MlpEncoderConfig
from jepa_plugins.vectors.nulls import LastValuesConfig, LinearMapConfig, MeanValuesConfig, ValuesExtrapolationConfig

JEPA_CONTRACT = 2


@hookimpl
def jepa_datasets() -> list[type]:
    return [
        ArcConfig,
        ManifestConfig,
        TracesConfig,
        ArraysConfig,
        ImageFolderConfig,
        MovingDigitsConfig,
        SeriesDemoConfig,
    ]


@hookimpl
def jepa_augmentations() -> list[type]:
    return [
        ColoursConfig,
        DihedralConfig,
        OutputsConfig,
        EnlargeConfig,
        TranslationConfig,
        WrapConfig,
        FlipConfig,
        ShiftConfig,
        BrightnessConfig,
        AffineConfig,
    ]


@hookimpl
def jepa_encoders() -> list[type]:
    return [
        CellsConfig,
        ObjectsConfig,
        ColourBlocksConfig,
        PatternsConfig,
        SeedObjectsConfig,
        VitConfig,
        ConvnetConfig,
        SeriesEncoderConfig,
        MlpEncoderConfig,
    ]


@hookimpl
def jepa_quantizers() -> list[type]:
    return [NoneConfig, EmaVqConfig, FsqConfig, SeedEmaVqConfig]


@hookimpl
def jepa_aggregators() -> list[type]:
    return [
        MeanConfig,
        AttentionConfig,
        LastConfig,
        AttentionPoolConfig,
        AnalogyConfig,
        extrapolation.ExtrapolationConfig,
    ]


@hookimpl
def jepa_predictors() -> list[type]:
    return [IdentityConfig, MlpConfig]


@hookimpl
def jepa_losses() -> list[type]:
    return [
        InfoNceConfig,
        RelationalConfig,
        SigregConfig,
        VicregConfig,
        ViewContrastConfig,
        InvarianceConfig,
        SeedInfoNceConfig,
        SeedRelationalConfig,
        SeedSigregConfig,
        SeedInvarianceConfig,
    ]


@hookimpl
def jepa_nulls() -> list[type]:
    return [
        EqualCellsConfig,
        PaletteAndSizeConfig,
        PairAnalogyConfig,
        ExtrapolationConfig,
        LocalPatternsConfig,
        LastFrameConfig,
        MeanFrameConfig,
        FrameExtrapolationConfig,
        MotionConfig,
        LastValuesConfig,
        ValuesExtrapolationConfig,
        MeanValuesConfig,
        LinearMapConfig,
        ContinuedConfig,
    ]


@hookimpl
def jepa_observers() -> list[type]:
    return [TensorboardConfig, WandbConfig]


@hookimpl
def jepa_scenarios() -> list[type]:
    return [
        NonFiniteConfig,
        CodebookCollapseConfig,
        CodebookSlideConfig,
        CodebookShockConfig,
        RankCollapseConfig,
        RankStuckConfig,
        LossTakesOverConfig,
        LossExplodesConfig,
        LevelLeftConfig,
        LossDeadConfig,
        ClippingSaturatedConfig,
        TemperatureAtBoundConfig,
        ValidationDegradesConfig,
        BelowStrongestNullConfig,
        AttentionUniformConfig,
        OrderIgnoredConfig,
        TargetEqualConfig,
        TargetDriftsConfig,
        LrAtFloorConfig,
        ThroughputDroppedConfig,
    ]


@hookimpl
def jepa_benchmarks() -> list[type]:
    return [TokeniserBenchmark, CodebookBenchmark, ContrastBenchmark, AttentionBenchmark]
