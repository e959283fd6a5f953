"""After the vote refused a step: repeat it eagerly, name the first tensor that is not finite, and keep the batch."""

from __future__ import annotations

import inspect
import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Observations
from jepa_core.discovery.source import LOCAL
from jepa_core.engine.bad_batch import BatchKeeper
from jepa_core.engine.component_contract import components_of, without_trace
from jepa_core.engine.objective import Objective, Outcome
from jepa_core.engine.slices import local
from jepa_core.engine.step import TrainingStep, trained_parameters
from jepa_core.engine.vote import OVERFLOWS_IN_A_ROW
from jepa_core.recipes.tables import Recipe

_BUILT_IN = frozenset({"jepa_core", "jepa_plugins"})
"""Packages that come with the program."""


@attrs.frozen
class BadTensor:
    """The first tensor that was not finite, in the order of the computation."""

    where: str
    """Such as "encoder.input.weight of the online network" or "output of online.encoder.layers.1"."""
    count: int
    """Elements that are not finite."""
    shape: tuple[int, ...]
    micro: int | None = None
    """The micro-batch in which it was; None where it is no single one's."""
    positions: tuple[int, ...] = ()
    """Which sequences of this rank's part of it have such elements; empty where all have, or that cannot be told."""
    made_by: str = ""
    """The table of the component that made it, such as "losses.info_nce"; empty where that is none, or not known."""

    def describe(self) -> str:
        if not self.shape:
            return self.where
        shape = " × ".join(map(str, self.shape))
        return f"{self.where} ({self.count:,} of {math.prod(self.shape):,} elements, shape {shape})"


@attrs.frozen
class Cause:
    """Why a step was refused for good."""

    what: str
    advice: str
    is_known: bool = True
    """Whether it was found."""
    batch: str = ""
    """Where the batch is kept, below the run directory; empty where it is not."""
    plugin: str = ""
    """What `jepa plugins check` takes to try the component that made the value; empty where that is a built-in one."""

    @property
    def evidence(self) -> dict[str, str]:
        """For the event."""
        more = {"batch": self.batch, "plugin": self.plugin}
        return {"cause": self.what} | {name: value for name, value in more.items() if value}


def cause_on_ranks(training: TrainingStep, step: int, keeper: BatchKeeper | None = None) -> Cause:
    """The same where several share the batch: each repeats its own part, and the first that finds something tells.

    Each keeps its part if it found something there, and rank 0 if none did.
    """
    crew = training.crew
    with training.whole():
        cause = cause_of(training, step, keeper)
    if crew.size == 1:
        return cause
    said = crew.heard(attrs.asdict(cause))
    if keeper is not None and crew.leads and not any(each["is_known"] for each in said):
        keeper.keep(step, cause.what)
    rank = next((rank for rank, each in enumerate(said) if each["is_known"]), 0)
    return attrs.evolve(Cause(**said[rank]), what=f"on rank {rank}, {said[rank]['what']}")


def keep_skipped(training: TrainingStep, keeper: BatchKeeper) -> str | None:
    """Keep the batch of the newest step that was skipped; where it is kept. Changes no state. Waits for the device.

    Each rank looks at its own part, by itself, and with the weights as they are now.
    """
    step = int(training.vote.refused_step)
    if keeper.is_full or step < 0 or training.shards is not None:
        return None
    bad = None
    with without_trace(training), torch.no_grad():
        for micro in range(training.recipe.train.accumulate):
            bad = bad or _bad_in_forward(training, step, micro)[1]
    if bad is None:
        return keeper.keep(step, "not found again: a gradient, or other weights") if training.crew.leads else None
    return keeper.keep(step, f"first {bad.describe()}", micro=bad.micro, positions=bad.positions)


def cause_of(training: TrainingStep, step: int, keeper: BatchKeeper | None = None) -> Cause:
    """Why the vote gave up at `step`, in words. Changes no state but gradients."""
    if training.vote.scaling_collapsed:
        return Cause(
            what=f"fp16 loss scaling collapsed, the gradients overflowed in {OVERFLOWS_IN_A_ROW} steps in a row",
            advice="Start again with train.precision = 'bf16' or 'fp32', or with a lower optimizer.lr.",
        )
    bad = first_bad_tensor(training, step)
    what = f"first {bad.describe()}" if bad else "which tensor is not known, as the step is finite when repeated"
    batch = None
    if keeper is not None and (bad or training.crew.size == 1):
        micro, positions = (bad.micro, bad.positions) if bad else (None, ())
        batch = keeper.keep(step, what, micro=micro, positions=positions)
    plugin = _plugin_of(bad.made_by, training.recipe) if bad and bad.made_by else ""
    advice = (
        "Start again with a lower optimizer.lr or train.clip_norm"
        if step
        else "Not a step had been taken: look at the data's values, whose size jepa audit says"
    )
    if training.compute.precision != "fp32":
        advice += ", or start again with train.precision = 'fp32'"
    first = f"jepa plugins check {shlex.quote(plugin)} tries the component alone. " if plugin else ""
    return Cause(
        what=what,
        batch=batch or "",
        advice=f"{first}{advice}.",
        is_known=bad is not None,
        plugin=plugin,
    )


def _plugin_of(table: str, recipe: Recipe) -> str:
    """See `Cause.plugin`; of the component of a table."""
    family, _, name = table.partition(".")
    config: Any = recipe.losses[name].config if name else getattr(recipe, family)
    module = type(config).__module__
    if module.partition(".")[0] in _BUILT_IN:
        return ""
    return inspect.getfile(type(config)) if module.startswith(LOCAL) else str(config.kind)


def first_bad_tensor(training: TrainingStep, step: int) -> BadTensor | None:
    """Replay the draws and forward passes of `step`, then its gradients. Changes no state but gradients.

    None when the replay is finite, as can happen where kernels are not deterministic.
    """
    return _bad_state(training) or _bad_in_computation(training, step)


def _bad_state(training: TrainingStep) -> BadTensor | None:
    """Weights, EMA weights, codebook and queue."""
    for owner, module in (
        ("the online network", training.parts.online),
        ("the EMA target", training.parts.target),
        ("the losses", training.parts.losses),
    ):
        for key, tensor in module.state_dict().items():
            found = _examine(f"{key} of {owner}", tensor)
            if found:
                return found
    return None


def _bad_in_computation(training: TrainingStep, step: int) -> BadTensor | None:
    training.optimizer.zero_grad()
    training.parts.online.train()
    for micro in range(training.recipe.train.accumulate):
        outcome, bad = _bad_in_forward(training, step, micro)
        if bad:
            return bad
        training.loss_scale.scaled(outcome.total / training.recipe.train.accumulate).backward()
    # Asked for anew: of a sharded module these are its whole parameters, while it has them.
    named = [(n, p.grad) for n, p in trained_parameters(training.parts).items() if p.grad is not None]
    training.loss_scale.unscale_([gradient for _, gradient in named])
    examined = (_examine(f"gradient of {name}", gradient) for name, gradient in named)
    return next((bad for bad in examined if bad), None)


def _bad_in_forward(training: TrainingStep, step: int, micro: int) -> tuple[Outcome, BadTensor | None]:
    """What this rank's part of a micro-batch gives, and the first tensor in it that is not finite."""
    batch, views = training.draw(step, micro)
    given = {f"{name} of the batch": tensor for name, tensor in batch.tensors.items()}
    for view, observations in views.items():
        given |= {f"{name} of the view {view}": tensor for name, tensor in observations.tensors.items()}
    bad = next((found for name, tensor in given.items() if (found := _examine(name, tensor))), None)
    with training.crew.alone(), _watched(training.objective) as outputs, training.compute.autocast():
        outcome = training.objective(batch, views)
    bad = bad or next(iter(outputs), None)
    for name, term in outcome.terms.items():
        made_by = f"losses.{name}" if name in training.recipe.losses else ""
        bad = bad or _examine(f"loss {name} at micro-batch {micro}", term, made_by)
    if bad is None:
        return outcome, None
    return outcome, attrs.evolve(bad, micro=micro, positions=_positions(bad, batch, views))


def _positions(bad: BadTensor, batch: Observations, views: Mapping[str, Observations]) -> tuple[int, ...]:
    """Of the rows of a tensor that are not finite, the sequences that they are of; see `BadTensor.positions`."""
    size = len(batch)
    # The encoder has observations of all sequences, one group behind the other.
    groups = [_places(batch) - 1, *map(_places, views.values())]
    num_rows = bad.shape[0] if bad.shape else 0
    if num_rows == size:
        found = set(bad.positions)
    elif num_rows == size * groups[0]:
        found = {row // groups[0] for row in bad.positions}
    elif num_rows == size * sum(groups):
        found = {_sequence_of(row, size, groups) for row in bad.positions}
    else:
        found = set()
    return tuple(sorted(found)) if len(found) < size else ()


def _places(observations: Observations) -> int:
    return int(next(iter(observations.tensors.values())).shape[1])


def _sequence_of(row: int, size: int, groups: list[int]) -> int:
    for places in groups:
        if row < size * places:
            return row // places
        row -= size * places
    raise AssertionError("the row is of none of them")


@contextmanager
def _watched(objective: Objective) -> Iterator[list[BadTensor]]:
    """Collect bad module outputs, in the order of computation."""
    found: list[BadTensor] = []
    components = components_of(objective) | {"target": ("encoder", objective.target.encoder)}
    tables = {
        id(inner): "encoder" if table == "target" else table
        for table, (_, module) in components.items()
        for inner in module.modules()
    }

    def hook_for(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def examine_output(module: nn.Module, _inputs: Any, output: Any) -> None:
            for tensor in _tensors(output):
                bad = _examine(f"output of {name}", tensor, tables.get(id(module), ""))
                if bad:
                    found.append(bad)

        return examine_output

    handles = [module.register_forward_hook(hook_for(name)) for name, module in objective.named_modules() if name]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    return [value for value in getattr(output, "__dict__", {}).values() if isinstance(value, Tensor)]


def _examine(where: str, tensor: Tensor, made_by: str = "") -> BadTensor | None:
    if not tensor.is_floating_point():
        return None
    is_bad = ~torch.isfinite(local(tensor))
    bad = int(is_bad.sum())
    if not bad:
        return None
    rows = is_bad.flatten(1).any(1).nonzero().flatten() if is_bad.dim() > 1 else is_bad.nonzero().flatten()
    return BadTensor(where, bad, tuple(tensor.shape), positions=tuple(rows.tolist()), made_by=made_by)
