"""Components that break one promise each: every check must be able to fail, with a message that helps."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import pytest
import torch
from torch import Tensor, nn

from jepa_core.contracts import (
    Embeddings,
    Forward,
    LossTerm,
    Observations,
    Quantized,
    SequenceDataset,
    Sequences,
    Space,
    Statistics,
)
from jepa_core.errors import RecipeError
from jepa_core.metrics import Metric
from jepa_core.registry import Component
from jepa_core.settings import setting
from jepa_core.spaces import Edit, Fill
from jepa_core.watch.rules import Scenario
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.space import GridSpace

BROKEN: list[Any] = []
"""Parameters for pytest: component, the check that it must fail, and a part of the message."""


def breaks(
    family: str, check: str, message: str, metrics: tuple[Any, ...] = ()
) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """A module class that breaks the check's promise, with a configuration around it."""

    def registered(module_class: type[nn.Module]) -> type[nn.Module]:
        declared = metrics

        @attrs.frozen(kw_only=True)
        class Config:
            """Breaks one promise."""

            kind: ClassVar[str] = "broken"
            metrics: ClassVar[tuple[Any, ...]] = declared
            spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

            def build(self, facts: Any) -> Any:
                module = module_class()
                module.facts = facts
                return module

        _register(family, check, message, Config, module_class.__name__)
        return module_class

    return registered


def breaks_by_class(check: str, message: str, family: str = "predictor") -> Callable[[Any], Any]:
    """A configuration class that breaks the check's promise."""

    def registered(config_class: Any) -> Any:
        _register(family, check, message, config_class, config_class.__name__)
        return config_class

    return registered


def _register(family: str, check: str, message: str, config_class: Any, label: str) -> None:
    component = Component(
        family=family, name=config_class.kind, config_class=config_class, distribution="broken", version="0"
    )
    BROKEN.append(pytest.param(component, check, message, id=f"{family}-{check}-{label}"))


def mean(values: Tensor, mask: Tensor) -> Tensor:
    """What a good aggregator may do: the mean over all real tokens."""
    counts = mask.sum((1, 2)).clamp(min=1)[:, None]
    return torch.where(mask[..., None], values, 0.0).sum((1, 2)) / counts


class Configured:
    """A configuration that is right, for those that are not to be wrong elsewhere."""

    kind: ClassVar[str] = "broken"
    metrics: ClassVar[tuple[Any, ...]] = ()

    def build(self, facts: Any) -> Any:
        return nn.Identity()


# Configuration classes


@breaks_by_class("name", "'Bad-Name' cannot stand in a recipe")
@attrs.frozen(kw_only=True)
class BadName(Configured):
    """Breaks one promise."""

    kind = "Bad-Name"


@breaks_by_class("name", "the summary has 200 characters")
@attrs.frozen(kw_only=True)
class Talkative(Configured):
    pass


Talkative.__doc__ = "x" * 200


@breaks_by_class("settings", "the setting width has no description")
@attrs.frozen(kw_only=True)
class Undescribed(Configured):
    """Breaks one promise."""

    width: int = 3


@breaks_by_class("defaults", "the default of width is 0, and its range ≥ 1")
@attrs.frozen(kw_only=True)
class OutOfRange(Configured):
    """Breaks one promise."""

    width: int = setting("width", default=0, at_least=1)


@breaks_by_class("frozen", "can be changed")
@attrs.define(kw_only=True)
class Changeable(Configured):
    """Breaks one promise."""


@breaks_by_class("metrics", "loss.total is the engine's")
@attrs.frozen(kw_only=True)
class TakenMetric(Configured):
    """Breaks one promise."""

    metrics = (Metric("loss.total", "mine"),)


@breaks_by_class("builds", "width has no default")
@attrs.frozen(kw_only=True)
class Required(Configured):
    """Breaks one promise."""

    width: int = setting("width")


@breaks_by_class("builds", "it refuses its own defaults: low must be below high")
@attrs.frozen(kw_only=True)
class Contradictory(Configured):
    """Breaks one promise."""

    def __attrs_post_init__(self) -> None:
        raise ValueError("low must be below high")


@breaks_by_class("builds", "it refuses what it is tried with: heads must divide 16")
@attrs.frozen(kw_only=True)
class Indivisible(Configured):
    """Breaks one promise."""

    def build(self, facts: Any) -> Any:
        raise RecipeError("heads must divide 16")


@breaks_by_class("builds", "build returns str, not a torch.nn.Module")
@attrs.frozen(kw_only=True)
class BuildsText(Configured):
    """Breaks one promise."""

    def build(self, facts: Any) -> Any:
        return "module"


# Modules


@breaks("aggregator", "shapes", r"state has the shape \(1, 1, 16\), not \(1, 16\)")
class KeepsTime(nn.Module):
    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask[..., None], values, 0.0).mean(2)


@breaks("encoder", "shapes", "mask is torch.float32, not torch.bool")
class FloatMask(nn.Module):
    embedding_dim, num_tokens = 4, 1

    def forward(self, observations: Observations) -> Embeddings:
        return Embeddings(torch.ones(len(observations), 1, 4), torch.ones(len(observations), 1))


@breaks("encoder", "builds", "num_tokens is None, not a whole number")
class Unannounced(nn.Module):
    embedding_dim = 4


@breaks("aggregator", "finite", r"state\[0, \d+\] = nan")
class DividesByNothing(nn.Module):
    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask[..., None], values, 0.0).sum((1, 2)) / mask.sum((1, 2))[:, None]


@breaks("predictor", "shapes", "it raises KeyError: 'nothing'")
class Raises(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        raise KeyError("nothing")


CALLS = itertools.count()


@breaks("predictor", "shapes", "it raises ValueError: too much .of ")
class RaisesAnew(nn.Module):
    """Always there, in other words each time."""

    def forward(self, state: Tensor) -> Tensor:
        raise ValueError(f"too much (of {next(CALLS)})")


@breaks("predictor", "shapes", "it raises SystemExit: no")
class Exits(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        raise SystemExit("no")


class Mute(Exception):  # noqa: N818  # a fault that cannot even be shown
    def __str__(self) -> str:
        raise ValueError("no text")


@breaks("predictor", "shapes", "it raises Mute, whose text cannot be shown")
class RaisesMutely(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        raise Mute


@breaks("predictor", "shapes", "predicted is torch.float64, not torch.float32")
class DoublePrecision(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        return state.double()


@breaks("predictor", "shapes", "forward returns tuple, not Tensor")
class ReturnsTuple(nn.Module):
    def forward(self, state: Tensor) -> tuple[Tensor]:
        return (state,)


@breaks("aggregator", "finite", "gradient of input values")
class RootOfZero(nn.Module):
    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return (mean(values, mask) * 0).sqrt()


@breaks("aggregator", "differentiable", "no gradient, and ZerosOfNothing has parameters to train")
class ZerosOfNothing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return mean(values, mask) * self.scale if mask.any() else torch.zeros_like(values[:, 0, 0])


@breaks("predictor", "gradients", "no gradient reaches the parameter forgotten")
class Forgetful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.forgotten = nn.Parameter(torch.ones(1))

    def forward(self, state: Tensor) -> Tensor:
        return state + 1


@breaks("predictor", "gradients", "no gradient reaches any input")
class Constant(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        return state.detach()


@breaks("aggregator", "masked-slots", "with 100 instead of zeros in masked slots: state")
class SeesMasked(nn.Module):
    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return values.mean((1, 2))


@breaks("predictor", "rows", "row 1 of the batch, given on its own: predicted")
class Centred(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        return state - state.mean(0)


@breaks("aggregator", "object-order", "in reversed order: state")
class CountsObjects(nn.Module):
    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return mean(values * torch.arange(values.shape[2])[:, None], mask)


@breaks("predictor", "pure-forward", "forward changes the state in training mode: num_calls = 1 instead of 0")
class Counts(nn.Module):
    num_calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("num_calls", torch.zeros(()))

    def forward(self, state: Tensor) -> Tensor:
        self.num_calls += 1
        return state


@breaks("predictor", "repeatable", "a second call on the same batch in training mode: predicted")
@breaks("predictor", "resume", "trained 4 steps, saved and loaded after step 2: result predicted")
class Remembers(nn.Module):
    calls = 0

    def forward(self, state: Tensor) -> Tensor:
        self.calls += 1
        return state * self.calls


@breaks("predictor", "inputs", "forward writes to its inputs in training mode: state")
class Overwrites(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        return state.mul_(2) if not state.requires_grad else state * 2


@breaks("predictor", "seed", "draws from Python's or NumPy's global generator")
class DrawsElsewhere(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        return state * random.random()


@breaks("predictor", "host-sync", "_local_scalar_dense makes the host wait")
class ReadsItem(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        return torch.mul(state, state.detach().norm().item())


@breaks("predictor", "host-sync", r"Tensor.tolist copies to the host")
class ReadsList(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        return state * len(state.detach().tolist())


@breaks("loss", "bf16", "value is bfloat16, not float32")
class LowPrecision(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(value=(forward.z_context @ forward.z_target.T).mean())


@breaks("loss", "fp16", "not finite")
class Overflows(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(value=((forward.z_context * 1000) @ (forward.z_target.T * 1000)).mean().float())


@breaks("predictor", "compile", "does not compile to one graph")
class Branches(nn.Module):
    def forward(self, state: Tensor) -> Tensor:
        return state if state.sum() > 0 else -state


@breaks("predictor", "state-dict", "after it has loaded another module's state: predicted")
class Unsaved(nn.Module):
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.rand(()), persistent=False)

    def forward(self, state: Tensor) -> Tensor:
        return state * self.scale


class Stateful(nn.Module):
    """A loss that keeps the sum of its targets, rightly."""

    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(6))

    def statistics(self, forward: Forward) -> Statistics:
        return Statistics(sums={"targets": forward.z_target.sum(0)})

    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(value=forward.z_context.float().square().mean(), statistics=self.statistics(forward))

    def after_step(self, statistics: Statistics) -> None:
        self.total += statistics.sums["targets"]


@breaks("loss", "statistics", "the statistics' sums.targets has a gradient")
class AttachedStatistics(Stateful):
    def statistics(self, forward: Forward) -> Statistics:
        return Statistics(sums={"targets": forward.z_context.sum(0)})


@breaks("loss", "statistics", "but has no after_step")
class Homeless(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        value = forward.z_context.float().square().mean()
        return LossTerm(value=value, statistics=Statistics(sums={"targets": forward.z_target.sum(0)}))


@breaks("loss", "after-step", "after_step changes nothing")
class Idle(Stateful):
    def after_step(self, statistics: Statistics) -> None:
        pass


@breaks("loss", "after-step", "after_step changes total, which no checkpoint holds")
class Fleeting(Stateful):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(6), persistent=False)


@breaks("loss", "after-step", "makes the host wait")
class WaitsAfterStep(Stateful):
    def after_step(self, statistics: Statistics) -> None:
        self.total += statistics.sums["targets"].sum().item()


@breaks("loss", "halves", "after a step on two half batches instead of the whole one: total")
class AddsUpMeans(Stateful):
    def statistics(self, forward: Forward) -> Statistics:
        return Statistics(sums={"targets": forward.z_target.mean(0)})


@breaks("loss", "many-steps", "the state is not finite after")
class Explodes(Stateful):
    def after_step(self, statistics: Statistics) -> None:
        self.total.add_(1).mul_(1e6)


class Codebook(nn.Module):
    """A quantizer of one code, rightly."""

    num_codes = 1

    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        return Quantized(
            values=torch.where(mask[..., None], values, 0.0),
            codes=torch.where(mask, 0, -1),
            loss=values.new_zeros((), dtype=torch.float32),
            statistics=Statistics(),
        )


@breaks("quantizer", "shapes", "codes are not −1 where masked")
class CodesMasked(Codebook):
    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        quantized = super().forward(values, mask, collect=collect)
        codes = torch.zeros_like(mask, dtype=torch.int64)
        return Quantized(values=quantized.values, codes=codes, loss=quantized.loss, statistics=Statistics())


@breaks("quantizer", "initialise", "initialised again under one seed: code = ")
class RandomStart(Codebook):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("code", torch.zeros(()))

    def initialise(self, sample: Tensor) -> None:
        self.code = torch.tensor(random.random())


@breaks("quantizer", "without-time", "an observation of the context and the same alone differ")
class NeedsTime(Codebook):
    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        return super().forward(values * values.dim(), mask, collect=collect)


@breaks("aggregator", "weights", r"weights over time sum to \d")
class Unshared(nn.Module):
    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return mean(values, mask)

    def time_weights(self, values: Tensor, mask: Tensor) -> Tensor:
        return torch.ones(values.shape[:2]) * 2


@breaks("loss", "figures", "the figure secret is not among the configuration's metrics")
class Undeclared(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        value = forward.z_context.float().square().mean()
        return LossTerm(value=value, figures={"secret": value.detach()})


@breaks("loss", "shapes", "figures are a NoneType, not tensors by name")
class NoFigures(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(forward.z_context.float().square().mean(), figures=None)  # type: ignore[arg-type]


@breaks("loss", "shapes", "the figure known is a float, not a Tensor", metrics=(Metric("known", "known"),))
class NumberFigure(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(forward.z_context.float().square().mean(), figures={"known": 0.5})  # type: ignore[dict-item]


@breaks("loss", "figures", "the figure known has a gradient", metrics=(Metric("known", "known"),))
class AttachedFigure(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        value = forward.z_context.float().square().mean()
        return LossTerm(value=value, figures={"known": value})


@breaks("loss", "views", "the view blank is not of grids of up to 7 × 7 cells: .* cells are not as the sizes say")
class BlankView(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(value=forward.views["blank"].z_context.float().square().mean())

    def views(self) -> Any:
        return {
            "blank": lambda batch: Observations(
                {"grid": torch.full_like(batch["grid"], OUTSIDE), "size": batch["size"]}
            )
        }


@breaks("loss", "whole-set", "of 1 predictions among 1 candidates is nan")
class NeedsTwo(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        return LossTerm(value=forward.z_context.float().square().mean())

    def over_candidates(self, z_context: Tensor, candidates: Tensor, positive: Tensor) -> Tensor:
        return z_context.sum() / (len(candidates) - 1) - z_context.sum() / (len(candidates) - 1)


# Datasets

NUM_SEQUENCES = 6


def split(first_task: int = 0, **changed: Any) -> Sequences:
    """Six sequences of three grids, all of one colour and 2 × 2 cells, in six tasks."""
    good = {"grid": torch.ones(NUM_SEQUENCES, 3, 2, 2, dtype=torch.uint8), "size": torch.full((NUM_SEQUENCES, 3, 2), 2)}
    return Sequences(observations=Observations(good | changed), tasks=torch.arange(NUM_SEQUENCES) + first_task)


def breaks_as_dataset(check: str, message: str, **changed: Any) -> None:
    """A dataset that is right but for the fields given, or whose training split is, for functions of it."""

    @attrs.frozen(kw_only=True)
    class Config(Configured):
        """Breaks one promise."""

        space: ClassVar[type[Space]] = GridSpace

        def build(self, facts: Any) -> Any:
            good: dict[str, Any] = {
                "space": GridSpace(side=2),
                "train": split(),
                "validation": split(NUM_SEQUENCES),
                "task_names": tuple(map(str, range(2 * NUM_SEQUENCES))),
                "description": "six sequences",
                "fingerprint": "0" * 64,
            }
            return SequenceDataset(**(good | changed))

    _register("dataset", check, message, Config, "-".join(changed))


breaks_as_dataset("builds", "its space is str, and its configuration says space = GridSpace", space="grids")
breaks_as_dataset("shapes", r"not all with \(sequences, context", train=split(grid=torch.ones(6, 2, 2, 2)))
breaks_as_dataset("content", "grids are torch.int64", train=split(grid=torch.ones(6, 3, 2, 2).long()))
breaks_as_dataset("content", "cells are not as the sizes say", train=split(size=torch.ones(6, 3, 2).long()))
breaks_as_dataset("split", r"task \[0\] is in training and in validation", validation=split())
breaks_as_dataset("split", r"has no name among 1", task_names=("only",))
breaks_as_dataset("description", "the description is empty", description=" ")
breaks_as_dataset("description", "is no SHA-256", fingerprint="six")
breaks_as_dataset("description", "notes holds \\[None\\], not only texts", notes=(None,))


@attrs.frozen(kw_only=True)
class LyingSpace(GridSpace):
    """A space of grids for subclasses that break one promise."""

    @classmethod
    def examples(cls) -> tuple[Any, ...]:
        return (cls(side=2),)


class DrawsTooLarge(LyingSpace):
    def sample(self, num: int, fill: Fill = "some") -> Observations:
        return GridSpace(side=3).sample(num, fill)


class KeysByPlace(LyingSpace):
    def keys(self, observations: Observations) -> Tensor:
        keys = super().keys(observations)
        return keys + torch.arange(len(keys)).view(-1, *[1] * (keys.dim() - 1))


class CountsInCommon(LyingSpace):
    def alike(self, observations: Observations) -> Tensor:
        return 4 * super().alike(observations)


class EditsNothing(LyingSpace):
    def editor(self, sequences: Observations) -> Edit:
        return lambda observations: observations.map(torch.clone)


class FitsDark(LyingSpace):
    def fitted(self, observations: Observations) -> Observations:
        return Observations({"grid": observations["grid"] * 0, "size": observations["size"]})


class PicturesBytes(LyingSpace):
    def pictures(self, observations: Observations) -> Tensor:
        return 255 * super().pictures(observations)


@attrs.frozen(kw_only=True)
class NamedSpace(LyingSpace):
    names: Any = attrs.field(factory=lambda: frozenset({"a"}))


def breaks_by_space(check: str, message: str, lying: type[LyingSpace]) -> None:
    """A dataset that is right but for its space."""

    @attrs.frozen(kw_only=True)
    class Config(Configured):
        """Breaks one promise of its space."""

        space: ClassVar[type[Space]] = lying

        def build(self, facts: Any) -> Any:
            return SequenceDataset(
                space=lying(side=2),
                train=split(),
                validation=split(NUM_SEQUENCES),
                task_names=tuple(map(str, range(2 * NUM_SEQUENCES))),
                description="six sequences",
                fingerprint="0" * 64,
            )

    _register("dataset", check, message, Config, lying.__name__)


breaks_by_space("space-draws", "grids are 3 × 3, not 2 × 2", DrawsTooLarge)
breaks_by_space("space-keys", "keys of the same in another order", KeysByPlace)
breaks_by_space("space-alike", "is no share of 0 … 1", CountsInCommon)
breaks_by_space("space-edits", "6 of 6 edited observations have the key that they had before", EditsNothing)
breaks_by_space("space-fits", "keys of its own, fitted", FitsDark)
breaks_by_space("space-readings", "not within 0 … 1", PicturesBytes)
breaks_by_space("space-state", "cannot be kept in a checkpoint", NamedSpace)


@breaks_by_class("fingerprint", "built again, it has other grid under the same fingerprint", family="dataset")
@attrs.frozen(kw_only=True)
class OtherEveryTime(Configured):
    """Breaks one promise."""

    space: ClassVar[type[Space]] = GridSpace
    built: list[int] = attrs.field(factory=list)

    def build(self, facts: Any) -> Any:
        self.built.append(0)
        grids = torch.full((NUM_SEQUENCES, 3, 2, 2), len(self.built) % 10, dtype=torch.uint8)
        return SequenceDataset(
            space=GridSpace(side=2),
            train=split(grid=grids),
            validation=split(NUM_SEQUENCES),
            task_names=tuple(map(str, range(2 * NUM_SEQUENCES))),
            description="other grids",
            fingerprint="0" * 64,
        )


@breaks_by_class("builds", "str has none of the methods start, row", family="observer")
@attrs.frozen(kw_only=True)
class BuildsDeaf(Configured):
    """Breaks one promise."""

    def build(self, facts: Any) -> Any:
        return "observer"


@breaks_by_class("methods", r"row takes \(\) -> 'None', and is called with \(row\)", family="observer")
@attrs.frozen(kw_only=True)
class RowWithoutRow(Configured):
    """Breaks one promise."""

    def build(self, facts: Any) -> Any:
        return RowWithoutRow()

    def row(self) -> None:
        """Takes nothing."""


def breaks_as_null(check: str, message: str, **methods: Any) -> None:
    """A null that is right but for the methods given."""

    class Broken:
        def fit(self, train: Sequences) -> dict[str, float]:
            return {}

        def scores(self, context: Observations, candidates: Observations) -> torch.Tensor:
            return (candidates["grid"] == context["grid"][:, -1, None]).flatten(2).sum(2).float()

    for name, method in methods.items():
        setattr(Broken, name, method)

    @attrs.frozen(kw_only=True)
    class Config(Configured):
        """Breaks one promise."""

        spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

        def build(self, facts: Any) -> Any:
            return None if methods.get("fit", 0) is None else Broken()

    _register("null", check, message, Config, "-".join(methods))


def _scores_of(change: Any) -> Any:
    """Counting equal cells, changed."""

    def scores(_self: Any, context: Observations, candidates: Observations) -> Any:
        return change((candidates["grid"] == context["grid"][:, -1, None]).flatten(2).sum(2).float())

    return scores


def _fills(_self: Any, train: Sequences) -> dict[str, float]:
    train.observations["grid"].zero_()
    return {}


def _draws(_self: Any, train: Sequences) -> dict[str, float]:
    torch.rand(())
    return {}


def breaks_as_augmentation(check: str, message: str, change: Any) -> None:
    """An augmentation by one function of a batch."""

    @attrs.frozen(kw_only=True)
    class Config(Configured):
        """Breaks one promise."""

        spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

        def build(self, facts: Any) -> Any:
            return change

    _register("augmentation", check, message, Config, check)


breaks_as_augmentation("builds", "build returns a str, not a function", "change")
breaks_as_augmentation(
    "transforms",
    "the augmented batch is not of grids of up to",
    lambda batch: batch.map(lambda tensor: torch.full_like(tensor, 1)),
)
breaks_as_augmentation("transforms", "has the tensors", lambda batch: Observations({"grid": batch["grid"]}))
breaks_as_augmentation(
    "transforms",
    "the augmented targets has grid",
    lambda batch: batch.map(lambda tensor: torch.cat([tensor[:, -1:], tensor[:, 1:-1], tensor[:, :1]], 1)),
)
breaks_as_augmentation("transforms", "writes to the batch", lambda batch: batch.map(lambda tensor: tensor.zero_()))

breaks_as_null("builds", "gives None for pairs and for frames alike", fit=None)
breaks_as_null("builds", "Broken has no method scores", scores=None)
breaks_as_null("shapes", r"scores are \(4, 6\), not \(6, 4\)", scores=_scores_of(lambda scores: scores.T))
breaks_as_null("shapes", "scores are torch.float64", scores=_scores_of(lambda scores: scores.double()))
breaks_as_null("shapes", "scores are not all finite", scores=_scores_of(lambda scores: scores * torch.nan))
breaks_as_null(
    "candidates", "with the order of the candidates", scores=_scores_of(lambda s: s + torch.arange(s.shape[1]).float())
)
breaks_as_null("fit", "not names with finite numbers", fit=lambda _self, _train: {"weight": float("nan")})
breaks_as_null("inputs", "changes the observations", fit=_fills)
breaks_as_null("inputs", "draws from torch's global generator", fit=_draws)


@breaks_by_class("builds", "build gives a str among its rules, not a Scenario", family="scenario")
@attrs.frozen(kw_only=True)
class BuildsWords(Configured):
    """Breaks one promise."""

    def build(self, facts: Any) -> Any:
        return ("lr > 1",)


@breaks_by_class("rules", "the rule a names vq.usag, which no run reports", family="scenario")
@attrs.frozen(kw_only=True)
class NamesNoMetric(Configured):
    """Breaks one promise."""

    def build(self, facts: Any) -> Any:
        return (Scenario(id="a", when="vq.usag < 1", title="Few codes", advice="More."),)


@breaks_by_class("builds", "build returns dict, not SequenceDataset", family="dataset")
@attrs.frozen(kw_only=True)
class BuildsMapping(Configured):
    """Breaks one promise."""

    space: ClassVar[type[Space]] = GridSpace

    def build(self, facts: Any) -> Any:
        return {}


class Reads(nn.Module):
    """An encoder that reads each grid's share of background, rightly."""

    embedding_dim, num_tokens = 4, 1

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(1, 4)

    def forward(self, observations: Observations) -> Embeddings:
        return self.embed(self.read(observations))

    def read(self, observations: Observations) -> dict[str, Tensor]:
        return {"share": (observations["grid"] == 0).float().mean((1, 2))[:, None]}

    def embed(self, reading: dict[str, Tensor]) -> Embeddings:
        values = self.embedding(reading["share"])[:, None]
        return Embeddings(values, torch.ones(values.shape[:2], dtype=torch.bool))

    def reading_views(self) -> dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]]:
        return {"halved": lambda reading: {"share": reading["share"] / 2}}


@breaks("encoder", "encoder-views", r"embed\(read\(observations\)\)")
class ReadsTwice(Reads):
    def forward(self, observations: Observations) -> Embeddings:
        return self.embed({"share": 2 * self.read(observations)["share"]})


@breaks("encoder", "encoder-views", "the view summed gives")
class SumsAway(Reads):
    def reading_views(self) -> dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]]:
        return {"summed": lambda reading: {"share": reading["share"].sum(1)}}


@breaks("encoder", "encoder-views", "the view blank writes to what was read")
class WritesToReading(Reads):
    def reading_views(self) -> dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]]:
        return {"blank": lambda reading: {"share": reading["share"].zero_()}}
