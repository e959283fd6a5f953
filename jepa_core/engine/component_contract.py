"""What components return, looked at once before the first step, and again after a step that failed.

A forward pass of one micro-batch, with hooks around every component: the first that does not keep to the contract is
named. Leaves no trace in state, gradients or random numbers, and nothing of it stays for later steps.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from jepa_core.contracts import (
    DeclaresTargetViews,
    DeclaresViews,
    Embeddings,
    LossTerm,
    Observations,
    Quantized,
    Statistics,
)
from jepa_core.engine.augmentation import Augmentations
from jepa_core.engine.objective import Objective
from jepa_core.engine.seeds import seed_phase
from jepa_core.engine.step import TrainingStep
from jepa_core.errors import PluginError
from jepa_core.metrics import ENGINE_METRICS

CONTRACT = {
    "encoder": "observations (M, …) to Embeddings of values (M, N, D) and a mask (M, N) of bool.",
    "quantizer": "tokens (…, N, D) and mask (…, N) to Quantized: values of the same shape, codes, a scalar loss.",
    "aggregator": "tokens (B, T, N, D) and mask (B, T, N) to a state (B, D).",
    "predictor": "a state (B, D) to a prediction (B, D).",
    "loss": "Forward to a LossTerm: value is a scalar with gradient, figures are scalars by declared name.",
    "augmentation": "Observations (B, T+1, …) to Observations of the same names, shapes and dtypes.",
}
"""Family → what its components take and give, in a line."""

_OF_THE_RUN = frozenset(metric.name for metric in ENGINE_METRICS)

ROLES = ("encoder", "quantizer", "aggregator", "predictor")
"""Components of a network, by family and by the attribute that holds them."""


class BrokenContractError(PluginError):
    """A component has returned what its family's contract does not allow, or has written to its inputs."""

    def __init__(self, family: str, label: str, what: str, definition: object) -> None:
        """
        Args:
            family: the component's.
            label: its table in the recipe, such as "losses.mine".
            what: it has done, as what follows its name.
            definition: the function of it that has.
        """
        super().__init__(f"{label} {what}")
        self.family, self.label, self.what, self.definition = family, label, what, definition


def components_of(objective: Objective) -> dict[str, tuple[str, nn.Module]]:
    """The recipe's table → family and module, in the order of the computation; the target's encoder is the online's."""
    network = {role: (role, getattr(objective.online, role)) for role in ROLES}
    return network | {f"losses.{name}": ("loss", loss) for name, loss in objective.losses.items()}


def require_contract(training: TrainingStep, step: int | None = None) -> None:
    """Take the forward pass of a micro-batch, and look at what every component returns.

    All ranks enter where they share out the parameters.

    Args:
        training: whose components.
        step: of which the first micro-batch is taken; the sample of diagnostics when not given.

    Raises:
        BrokenContractError: the first that breaks the contract. Whatever a component itself raises passes.
    """
    with training.whole(), without_trace(training):
        batch, views = _drawn(training, step)
        # Whoever leaves gradients off has done so for this look alone.
        as_found = torch.set_grad_enabled(torch.is_grad_enabled())
        with training.crew.alone(), _watched(training), training.compute.autocast(), as_found:
            if training.objective.encoder_views:
                # There the encoder is called in two parts.
                training.objective.online.encode(batch[:, :-1].flatten())
            training.objective(batch, views)


@contextmanager
def without_trace(training: TrainingStep) -> Iterator[None]:
    """Afterwards random generators and buffers are as they were."""
    device = training.compute.device
    buffers = list(training.objective.buffers())
    before = [buffer.clone() for buffer in buffers]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else ()):
        yield
    with torch.no_grad():
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)


def _drawn(training: TrainingStep, step: int | None) -> tuple[Observations, dict[str, Observations]]:
    """This rank's part of the micro-batch and of its views, each augmentation looked at."""
    batches = training.batches
    batch = batches.sample(batches.batch_size) if step is None else batches.draw(training.course.at(step))
    seed_phase(training.recipe.train.seed, "step", step or 0, "micro", 0)
    if isinstance(training.augment, Augmentations):
        for name, change in training.augment.changes.items():
            batch = _transformed(change, batch, "augmentation", f"augmentation.{name}", "a batch")
    else:
        batch = training.augment(batch)
    owners = _owners_of_views(training.objective)
    views = {}
    for name, transform in training.views.items():
        label, is_of_targets = owners[name]
        given = batch[:, -1:] if is_of_targets else batch
        views[name] = _transformed(transform, batch, "loss", label, f"the view {name}", like=given)
    mine = training.crew.mine(len(batch))
    return batch[mine], {name: view[mine] for name, view in views.items()}


def _owners_of_views(objective: Objective) -> dict[str, tuple[str, bool]]:
    """View → the table of the loss that declares it, and whether it is of the targets alone."""
    owners: dict[str, tuple[str, bool]] = {}
    for name, loss in objective.losses.items():
        if isinstance(loss, DeclaresViews):
            owners |= dict.fromkeys(loss.views(), (f"losses.{name}", False))
        if isinstance(loss, DeclaresTargetViews):
            owners |= dict.fromkeys(loss.target_views(), (f"losses.{name}", True))
    return owners


def _transformed(
    transform: Callable[[Observations], Observations],
    batch: Observations,
    family: str,
    label: str,
    name: str,
    *,
    like: Observations | None = None,
) -> Observations:
    definition = transform if inspect.isroutine(transform) else type(transform).__call__

    def broken(what: str) -> BrokenContractError:
        return BrokenContractError(family, label, what, definition)

    versions = [(tensor, tensor._version) for tensor in batch.tensors.values()]
    changed = transform(batch)
    given = batch if like is None else like
    if any(tensor._version != version for tensor, version in versions):
        raise broken(f"wrote to the batch that it was given for {name}: it has to return a changed copy")
    if not isinstance(changed, Observations):
        raise broken(f"returned {_type(changed)} as {name}, Observations are asked for")
    if changed.tensors.keys() != given.tensors.keys():
        raise broken(f"returned {name} of {sorted(changed.tensors)}, where {sorted(given.tensors)} were given")
    for key, tensor in given.tensors.items():
        form = _Form(tuple(tensor.shape), tensor.device, tensor.dtype)
        _require(broken, f"{name} with {key}", changed[key], form)
    return changed


@contextmanager
def _watched(training: TrainingStep) -> Iterator[None]:
    """While entered, what components return is looked at."""
    handles, objective = [], training.objective
    looked_at = components_of(objective) | {"target": ("encoder", objective.target.encoder)}
    weights = {f"losses.{name}": weight for name, weight in objective.weights.items()}
    declared = {f"losses.{name}": entry.config.metrics for name, entry in training.recipe.losses.items()}
    declared["quantizer"] = training.recipe.quantizer.metrics
    for label, (family, module) in looked_at.items():
        look = _Look(
            family,
            "encoder" if label == "target" else label,
            type(module).forward,
            is_used=weights.get(label) != 0,
            declared=frozenset(metric.name for metric in declared.get(label, ())),
        )
        handles.append(module.register_forward_pre_hook(look.before, with_kwargs=True))
        handles.append(module.register_forward_hook(look.after, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Look:
    """Around the calls of one component."""

    def __init__(self, family: str, label: str, definition: object, *, is_used: bool, declared: frozenset[str]) -> None:
        """`definition`: what is called; `declared`: names of the metrics that its configuration declares."""
        self._family, self._label, self._definition = family, label, definition
        self._is_used, self._declared = is_used, declared
        self._given: list[tuple[Tensor, int]] = []
        self._has_gradients = True

    def before(self, _module: nn.Module, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        self._given = [(tensor, tensor._version) for tensor in _tensors((*inputs, *named.values()))]
        self._has_gradients = torch.is_grad_enabled()

    def after(self, module: nn.Module, inputs: tuple[Any, ...], named: Mapping[str, Any], output: Any) -> None:
        if torch.is_grad_enabled() != self._has_gradients:
            raise self._broken(
                "left gradients switched on or off (torch.set_grad_enabled), otherwise than it found them: it has to "
                "leave them as they were (with torch.no_grad():)"
            )
        given = (*inputs, *(value for key, value in named.items() if key != "collect"))
        match self._family:
            case "encoder":
                passed_on = self._encoder(module, given[0], output)
            case "quantizer":
                passed_on = self._quantizer(module, given[0], given[1], output)
            case "aggregator":
                values = given[0]
                self._floats("", output, (values.shape[0], values.shape[-1]), values.device)
                self._passed_on("", output)
                passed_on = output
            case "predictor":
                self._floats("", output, tuple(given[0].shape), given[0].device)
                self._passed_on("", output)
                passed_on = output
            case _:
                passed_on = self._loss(given[0].z_context.device, output)
        if any(tensor._version != version for tensor, version in self._given):
            raise self._broken("wrote to its inputs: it has to leave them as they were")
        self._require_gradient(module, passed_on)

    def _encoder(self, encoder: Any, observations: Observations, output: Any) -> Tensor:
        if not isinstance(output, Embeddings):
            raise self._broken(f"returned {_type(output)}, Embeddings are asked for")
        shape, device = (len(observations), encoder.num_tokens, encoder.embedding_dim), observations.device
        self._floats("values of ", output.values, shape, device)
        self._passed_on("values of ", output.values)
        _require(self._broken, "a mask of", output.mask, _Form(shape[:2], device, torch.bool))
        return output.values

    def _quantizer(self, quantizer: Any, values: Tensor, mask: Tensor, output: Any) -> Tensor:
        if not isinstance(output, Quantized):
            raise self._broken(f"returned {_type(output)}, Quantized is asked for")
        self._floats("values of ", output.values, tuple(values.shape), values.device)
        self._passed_on("values of ", output.values)
        self._floats("a loss of ", output.loss, (), values.device)
        codes, num_codes = output.codes, getattr(quantizer, "num_codes", 0)
        if (codes is None) != (num_codes == 0):
            raise self._broken(f"returned {'no codes' if codes is None else 'codes'}, and its num_codes is {num_codes}")
        if codes is not None:
            shape = tuple(getattr(codes, "shape", ()))
            starts_right = shape[: mask.dim()] == tuple(mask.shape)
            form = _Form(shape if starts_right else tuple(mask.shape), mask.device, torch.int64)
            _require(self._broken, "codes of", codes, form)
        self._figures(output.figures)
        self._statistics(output.statistics)
        return output.values

    def _loss(self, device: torch.device, output: Any) -> Tensor:
        if not isinstance(output, LossTerm):
            raise self._broken(f"returned {_type(output)}, a LossTerm is asked for")
        self._floats("", output.value, (), device)
        self._figures(output.figures)
        self._statistics(output.statistics or Statistics())
        return output.value

    def _require_gradient(self, module: nn.Module, passed_on: Tensor) -> None:
        if not torch.is_grad_enabled() or not self._is_used:
            return
        given = any(tensor.requires_grad for tensor, _ in self._given)
        trained = any(parameter.requires_grad for parameter in module.parameters())
        if (given or trained) and not passed_on.requires_grad:
            raise self._broken(
                "returned a result without gradient, one that reaches its inputs and weights is asked for: it is "
                "detached, or was made under no_grad"
            )

    def _figures(self, figures: Any) -> None:
        if not isinstance(figures, Mapping):
            raise self._broken(f"returned {_type(figures)} as figures, a mapping from names to scalars is asked for")
        for name, figure in figures.items():
            if name in _OF_THE_RUN:
                raise self._broken(f"reported the metric {name}, which is the run's own: it needs another name")
            if name not in self._declared:
                raise self._broken(f"reported the metric {name}, which its configuration's metrics do not declare")
            if not isinstance(figure, Tensor) or figure.is_complex():
                raise self._broken(f"reported {_type(figure)} as the metric {name}, a scalar tensor is asked for")
            if figure.shape:
                raise self._broken(f"reported shape {tuple(figure.shape)} as the metric {name}, a scalar is asked for")

    def _statistics(self, statistics: Any) -> None:
        if not isinstance(statistics, Statistics):
            raise self._broken(f"returned {_type(statistics)} as statistics, Statistics are asked for")

    def _floats(self, name: str, tensor: Any, shape: tuple[int, ...], device: torch.device) -> None:
        _require(self._broken, name.strip(), tensor, _Form(shape, device))

    def _passed_on(self, name: str, tensor: Tensor) -> None:
        """What the next component computes with: its weights are float32, and autocast leaves float64 as it is."""
        device = tensor.device.type
        own = {torch.get_autocast_dtype(device)} if torch.is_autocast_enabled(device) else set()
        if tensor.dtype not in {torch.float32, *own, *(given.dtype for given, _ in self._given)}:
            raise self._broken(f"returned {name}dtype {tensor.dtype}, torch.float32 is asked for")

    def _broken(self, what: str) -> BrokenContractError:
        return BrokenContractError(self._family, self._label, what, self._definition)


@dataclasses.dataclass(frozen=True)
class _Form:
    """What a tensor has to be."""

    shape: tuple[int, ...]
    device: torch.device
    dtype: torch.dtype | None = None
    """None stands for any floating-point one, which autocast may choose."""


def _require(broken: Callable[[str], BrokenContractError], name: str, tensor: Any, form: _Form) -> None:
    named = f"{name} " if name else ""
    asked_for = f"shape {form.shape}" if form.shape else "a scalar"
    if not isinstance(tensor, Tensor):
        raise broken(f"returned {named}{_type(tensor)}, a tensor of {asked_for} is asked for")
    if tuple(tensor.shape) != form.shape:
        raise broken(f"returned {named}shape {tuple(tensor.shape)}, {asked_for} is asked for")
    if not (tensor.is_floating_point() if form.dtype is None else tensor.dtype == form.dtype):
        wanted = form.dtype or "a floating-point one"
        raise broken(f"returned {named}dtype {tensor.dtype}, {wanted} is asked for")
    if tensor.device != form.device:
        raise broken(f"returned {named}device {tensor.device}, that of its inputs is asked for: {form.device}")


def _type(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """All tensors that a component is given."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping):
            yield from _tensors(value.values())
        elif dataclasses.is_dataclass(value):
            yield from _tensors(getattr(value, field.name) for field in dataclasses.fields(value))
