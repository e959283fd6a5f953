"""The tables of a recipe that the engine owns, and the recipe itself. Component tables belong to their plugins.

Counts called steps are optimizer steps. Reading from TOML is in `reading`; nothing here knows files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from jepa_core.contracts import ComponentConfig, DatasetConfig
from jepa_core.settings import setting
from jepa_core.watch.rules import Watch

Precision = Literal["auto", "fp32", "bf16", "fp16"]
NonFinite = Literal["stop", "skip"]
Parallel = Literal["ddp", "fsdp"]
Compile = Literal[True, False, "auto"]
Place = Literal["auto", "device", "host"]


@attrs.frozen(kw_only=True)
class Projector:
    """MLP from embeddings to the space in which context and target are compared."""

    layers: int = setting("linear layers; 1 is a plain linear map", default=2, at_least=1)
    dim: int = setting("output dimension P", default=256, at_least=2)
    hidden_dim: int | None = setting(
        "width between the layers; the embedding's when not given", default=None, at_least=1
    )
    final_relu: bool = setting("end in a ReLU", default=False)


@attrs.frozen(kw_only=True)
class Target:
    """The EMA network that encodes the target."""

    ema_decay: float = setting("decay of the moving average per optimizer step", default=0.99, at_least=0, below=1)
    ema_decay_end: float | None = setting(
        "decay at the last step, reached by a cosine; constant when not given",
        default=None,
        at_least=0,
        at_most=1,
        acts_later=True,
    )


@attrs.frozen(kw_only=True)
class Optimizer:
    """Gradient descent."""

    kind: Literal["adamw", "adam"] = setting("adamw decouples weight decay", default="adamw", choices=("adamw", "adam"))
    lr: float = setting("peak learning rate", default=3e-4, above=0)
    weight_decay: float = setting("weight decay, on matrices only under adamw", default=0.01, at_least=0)
    beta1: float = setting("decay of the first moment", default=0.9, at_least=0, below=1)
    beta2: float = setting("decay of the second moment", default=0.999, at_least=0, below=1)


@attrs.frozen(kw_only=True)
class Schedule:
    """Linear warm-up, then a cosine to a floor."""

    warmup_steps: int = setting("steps of linear warm-up", default=0, at_least=0, unit="steps", acts_later=True)
    total_steps: int | None = setting(
        "length of warm-up and cosine; the run's own length when not given",
        default=None,
        at_least=1,
        unit="steps",
        acts_later=True,
    )
    floor: float = setting(
        "learning rate at the end, as a share of the peak", default=0.1, at_least=0, at_most=1, acts_later=True
    )


@attrs.frozen(kw_only=True)
class Train:
    """The loop."""

    epochs: int = setting("passes over the training sequences", default=10, at_least=1, unit="epochs")
    batch_size: int = setting("sequences in a micro-batch", default=256, at_least=1, unit="sequences")
    accumulate: int = setting("micro-batches in an optimizer step", default=1, at_least=1)
    precision: Precision = setting(
        "auto: bf16 on CUDA, fp32 elsewhere", default="auto", choices=("auto", "fp32", "bf16", "fp16")
    )
    tf32: bool = setting("allow TF32 on CUDA for matrix products that stay in fp32", default=False)
    clip_norm: float | None = setting(
        "limit of the gradient's norm; no clipping when not given", default=None, above=0, acts_later=True
    )
    seed: int = setting("fixes weights, order, augmentation and dropout", default=0, at_least=0)
    deterministic: bool = setting("bitwise the same result run to run, at some cost", default=False)
    compile: Compile = setting(
        "compile the step with torch.compile, which takes about a minute; auto: on CUDA, once the steps that are left "
        "would lose more than that without",
        default="auto",
        choices=(True, False, "auto"),
    )
    replay: bool = setting(
        "on CUDA, capture the step once and replay it, which spares its launches; one that cannot be is launched",
        default=True,
    )
    parallel: Parallel = setting(
        "what several GPUs share: ddp only the batch, fsdp model and moments too, for a model that does not fit one",
        default="ddp",
        choices=("ddp", "fsdp"),
    )
    non_finite: NonFinite = setting(
        "what a non-finite loss or gradient leads to; skip ends the run, too, after 20 steps in a row",
        default="stop",
        choices=("stop", "skip"),
    )


@attrs.frozen(kw_only=True)
class Diagnostics:
    """What is measured, and how often."""

    log_every_steps: int = setting("steps between metrics rows", default=10, at_least=1, unit="steps")
    every_steps: int = setting(
        "steps between diagnostics: ranks, codes, gradients", default=100, at_least=1, unit="steps"
    )
    sample: int = setting("training sequences that diagnostics look at", default=4096, at_least=2, unit="sequences")
    validate_every_epochs: float = setting("epochs between validations", default=1.0, above=0, unit="epochs")


@attrs.frozen(kw_only=True)
class Checkpointing:
    """When state is saved. The last state always is."""

    every_epochs: float | None = setting("epochs between checkpoints", default=1.0, above=0, unit="epochs")
    every_steps: int | None = setting(
        "steps between checkpoints, beside every_epochs", default=None, at_least=1, unit="steps"
    )
    keep: int = setting("newest checkpoints kept, beside the best", default=3, at_least=2)


@attrs.frozen(kw_only=True)
class AugmentationEntry:
    """One `[augmentation.NAME]` table. They are applied in the order in which the recipe lists them."""

    name: str
    enabled: bool
    config: ComponentConfig


@attrs.frozen(kw_only=True)
class LossEntry:
    """One `[losses.NAME]` table."""

    name: str
    """The table's name, and the name in metrics."""
    weight: float
    """Factor in the objective."""
    config: ComponentConfig

    @property
    def augmentations(self) -> tuple[str, ...]:
        """Names of the augmentations that it looks at its views through, where its configuration has such a field."""
        return tuple(getattr(self.config, "augmentations", ()))

    @property
    def looks_through_all(self) -> bool:
        """Whether it has such a field and names none, which means all that are enabled."""
        return hasattr(self.config, "augmentations") and not self.augmentations


@attrs.frozen(kw_only=True)
class ObserverEntry:
    """One `[observers.NAME]` table."""

    name: str
    config: ComponentConfig
    origin: str
    """The distribution it comes from, for messages about it."""


@attrs.frozen(kw_only=True)
class NullEntry:
    """One `[nulls.NAME]` table. Nulls without a table are on, with their defaults."""

    name: str
    enabled: bool
    config: ComponentConfig | None
    """None for the engine's own, the untrained network."""


@attrs.frozen(kw_only=True)
class Recipe:
    """A whole recipe: everything that decides a run, but for data and code."""

    name: str
    description: str = ""
    data: DatasetConfig
    place: Place = "auto"
    """Where the training split lies: `data.place`."""
    augmentation: Mapping[str, AugmentationEntry] = attrs.field(factory=dict)
    encoder: ComponentConfig
    quantizer: ComponentConfig
    aggregator: ComponentConfig
    predictor: ComponentConfig
    projector: Projector = attrs.field(factory=Projector)
    losses: Mapping[str, LossEntry]
    target: Target = attrs.field(factory=Target)
    optimizer: Optimizer = attrs.field(factory=Optimizer)
    schedule: Schedule = attrs.field(factory=Schedule)
    train: Train = attrs.field(factory=Train)
    diagnostics: Diagnostics = attrs.field(factory=Diagnostics)
    checkpoint: Checkpointing = attrs.field(factory=Checkpointing)
    nulls: Mapping[str, NullEntry] = attrs.field(factory=dict)
    watch: Watch = attrs.field(factory=Watch)
    observers: Mapping[str, ObserverEntry] = attrs.field(factory=dict)

    @property
    def used_augmentations(self) -> dict[str, AugmentationEntry]:
        """Those that change batches, and those that a loss looks at its views through, enabled or not."""
        asked = {name for entry in self.losses.values() for name in entry.augmentations}
        return {name: entry for name, entry in self.augmentation.items() if entry.enabled or name in asked}
