"""A plugin with a component of every family of a step, each of which breaks its contract in the way that it is told to.

Installed by tests as a distribution of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import LossTerm, Observations, Space
from jepa_core.hookspecs import hookimpl
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.aggregators.mean import MeanConfig
from jepa_plugins.grids.encoders.cells import CellsConfig
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.predictors.mlp import MlpConfig
from jepa_plugins.quantizers.ema_vq import EmaVqConfig

JEPA_CONTRACT = 2


def raises(error: Callable[[], BaseException]) -> Callable[..., Any]:
    """A fault that raises."""

    def fault(_given: Any, _result: Any) -> Any:
        raise error()

    return fault


def spoils(given: Any, result: Any) -> Any:
    """Writes to what it was given."""
    with torch.no_grad():
        (next(iter(given[0].tensors.values())) if isinstance(given[0], Observations) else given[0].detach()).mul_(1)
    return result


class Unlearnable(torch.autograd.Function):
    """Fails on the way back."""

    @staticmethod
    def forward(_ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(_ctx: Any, *_gradients: Tensor) -> Tensor:
        raise ArithmeticError("no way back")


def value_of(result: Any) -> Tensor:
    """What later parts compute with."""
    if isinstance(result, Tensor):
        return result
    value: Tensor = result.value if isinstance(result, LossTerm) else result.values
    return value


def with_value(result: Any, value: Any) -> Any:
    """The result with something else in its place."""
    if isinstance(result, Tensor):
        return value
    return dataclasses.replace(result, **{"value" if isinstance(result, LossTerm) else "values": value})


def changes(change: Callable[[Tensor], Any]) -> Callable[..., Any]:
    """A fault that returns something else for the tensor that counts."""
    return lambda _given, result: with_value(result, change(value_of(result)))


def reports(figure: Any, name: Any = "faulty.figure") -> Callable[..., Any]:
    """A fault that reports a figure that is none, or that has another name."""
    return lambda _given, result: dataclasses.replace(result, figures={name: figure})


def out_of_memory() -> BaseException:
    return torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 139.00 GiB of which 1.00 GiB is "
        "free."
    )


class Mute(Exception):  # noqa: N818  # a fault that cannot even be shown
    def __str__(self) -> str:
        raise ValueError("no text")


FAULTS: dict[str, Callable[..., Any]] = {
    "": lambda _given, result: result,
    "raises": raises(lambda: ValueError("no such luck")),
    "long": raises(lambda: ValueError("one\ntwo " + "three " * 1000)),
    "control": raises(lambda: ValueError("\x1b[2J\x9b31m\u202e\x07gone\rback")),
    "mute": raises(Mute),
    "exits": raises(lambda: SystemExit(0)),
    "interrupts": raises(KeyboardInterrupt),
    "memory": raises(out_of_memory),
    "host_memory": raises(MemoryError),
    "none": lambda _given, _result: None,
    "tuple": lambda _given, result: (result, result),
    "number": changes(lambda _: 0.5),
    "shape": changes(lambda value: value.expand(16) if not value.dim() else value[..., :-1]),
    "dtype": changes(lambda value: value.detach().long()),
    "double": changes(Tensor.double),
    "switches": lambda _given, result: (torch.set_grad_enabled(False), result)[1],
    "device": changes(lambda value: value.to("meta")),
    "detached": changes(torch.Tensor.detach),
    "spoils": spoils,
    "backward": changes(Unlearnable.apply),
    "word": reports("high"),
    "row": reports(torch.zeros(3)),
    "undeclared": reports(torch.zeros(()), "faulty.other"),
    "engines": reports(torch.zeros(()), "loss.total"),
}


class Faulty(nn.Module):
    """A sound module, and a fault in what it gives."""

    def __init__(self, inner: nn.Module, fault: str) -> None:
        super().__init__()
        self.inner, self.fault = inner, fault
        for name in ("embedding_dim", "num_tokens", "num_codes"):
            if hasattr(inner, name):
                setattr(self, name, getattr(inner, name))

    def forward(self, *given: Any, **named: Any) -> Any:
        with_gradient = torch.is_grad_enabled()
        result = FAULTS[self.fault](given, self.inner(*given, **named))
        assert torch.is_grad_enabled() == with_gradient or self.fault == "switches"
        return result


class Spread(nn.Module):
    """A loss: how far predictions are from targets."""

    def forward(self, forward: Any) -> LossTerm:
        return LossTerm((forward.z_context - forward.z_target).square().mean())


@attrs.frozen(kw_only=True)
class _Config:
    """Breaks its contract."""

    kind: ClassVar[str] = "faulty"
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("faulty.figure", "of a fault"),)
    fault: str = setting("which fault", default="")


@attrs.frozen(kw_only=True)
class EncoderConfig(_Config):
    """An encoder that breaks its contract."""

    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    def build(self, facts: Any) -> nn.Module:
        return Faulty(CellsConfig(dim=16, layers=1, heads=2, patch=3).build(facts), self.fault)


@attrs.frozen(kw_only=True)
class QuantizerConfig(_Config):
    """A quantizer that breaks its contract."""

    def build(self, facts: Any) -> nn.Module:
        return Faulty(EmaVqConfig(codes=8).build(facts), self.fault)


@attrs.frozen(kw_only=True)
class AggregatorConfig(_Config):
    """An aggregator that breaks its contract."""

    def build(self, facts: Any) -> nn.Module:
        return Faulty(MeanConfig().build(facts), self.fault)


@attrs.frozen(kw_only=True)
class PredictorConfig(_Config):
    """A predictor that breaks its contract."""

    def build(self, facts: Any) -> nn.Module:
        return Faulty(MlpConfig().build(facts), self.fault)


@attrs.frozen(kw_only=True)
class LossConfig(_Config):
    """A loss that breaks its contract."""

    def build(self, facts: Any) -> nn.Module:
        return Faulty(Spread(), self.fault)


@attrs.frozen(kw_only=True)
class AugmentationConfig(_Config):
    """An augmentation that breaks its contract."""

    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    def build(self, facts: Any) -> Any:
        def change(batch: Observations) -> Any:
            if self.fault == "shape":
                return batch.map(lambda tensor: tensor[:, 1:])
            if self.fault == "dtype":
                return batch.map(torch.Tensor.double)
            return FAULTS[self.fault]((batch,), batch)

        return change


@hookimpl
def jepa_encoders() -> list[type[Any]]:
    return [EncoderConfig]


@hookimpl
def jepa_quantizers() -> list[type[Any]]:
    return [QuantizerConfig]


@hookimpl
def jepa_aggregators() -> list[type[Any]]:
    return [AggregatorConfig]


@hookimpl
def jepa_predictors() -> list[type[Any]]:
    return [PredictorConfig]


@hookimpl
def jepa_losses() -> list[type[Any]]:
    return [LossConfig]


@hookimpl
def jepa_augmentations() -> list[type[Any]]:
    return [AugmentationConfig]
