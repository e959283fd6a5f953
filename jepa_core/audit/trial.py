"""Three optimizer steps, `after_step` included, with something changed, beside the same steps without the change.

Both have the same batches, and every part draws the same random numbers whatever the parts before it drew. The
encoder is held (see `held_encoder`), so a trial is exact about whether anything changes, and an estimate of how much.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from jepa_core.audit.held_encoder import HeldEncoder
from jepa_core.audit.rebuilding import Change
from jepa_core.audit.report import largest_of
from jepa_core.engine.network import Parts
from jepa_core.engine.objective import Outcome
from jepa_core.engine.seeds import derived_seed
from jepa_core.engine.step import TrainingStep

NUM_STEPS = 3

CLEAR = 1e-3
"""A relative effect that needs no further step to be told from rounding."""


@attrs.frozen(kw_only=True)
class Glimpse:
    """What one step left."""

    total: Tensor
    embeddings: Tensor
    """(B, P): projected context embeddings."""
    gradient: Tensor | None
    """At the encoder's output; None when nothing reaches it."""
    state: Mapping[str, Tensor]
    """Parameters and buffers behind the encoder after the step, by part and name."""

    def equals(self, other: Glimpse) -> bool:
        """Whether every bit is the same."""
        return (
            _equal(self.total, other.total)
            and _equal(self.embeddings, other.embeddings)
            and _equal(self.gradient, other.gradient)
            and self.state.keys() == other.state.keys()
            and all(_equal(tensor, other.state[name]) for name, tensor in self.state.items())
        )


@attrs.frozen(kw_only=True)
class Effect:
    """How far a trial is from the unchanged run, each relative to the unchanged run; 0 when nothing moved."""

    embeddings: float
    loss: float
    gradient: float
    """At the encoder's output."""
    parameters: float
    """Of the part that differs most, relative to how far it moved."""
    exact_none: bool = False
    """Whether every bit is the same after three steps."""

    @property
    def largest(self) -> float:
        return largest_of((self.embeddings, self.loss, self.gradient, self.parameters))

    @property
    def forward(self) -> float:
        """Without what may differ in the weights of a part that was exchanged."""
        return largest_of((self.embeddings, self.loss))


NO_EFFECT = Effect(embeddings=0.0, loss=0.0, gradient=0.0, parameters=0.0, exact_none=True)


@attrs.frozen
class Trace:
    """The steps of a trial."""

    start: Mapping[str, Tensor]
    glimpses: list[Glimpse]

    def against(self, base: Trace) -> Effect:
        """The effect at the last step that this trial took."""
        last = len(self.glimpses) - 1
        mine, theirs = self.glimpses[last], base.glimpses[last]
        if all(a.equals(b) for a, b in zip(self.glimpses, base.glimpses, strict=False)):
            return NO_EFFECT
        gradients = (self.glimpses[min(last, NUM_STEPS - 1)].gradient, base.glimpses[min(last, NUM_STEPS - 1)].gradient)
        return Effect(
            embeddings=relative_change(mine.embeddings, theirs.embeddings),
            loss=relative_change(mine.total, theirs.total),
            gradient=_gradient_change(*gradients),
            parameters=_movement_change(self.start, mine.state, base.start, theirs.state),
        )


def take_steps(
    training: TrainingStep, *, change: Change, quiet: bool = False, until_clear_against: Trace | None = None
) -> Trace:
    """Take three steps and look once more; or stop at the first step that clearly differs from another trace.

    `quiet` switches the dropout of all parts off.
    """
    encoder = training.parts.online.encoder
    assert isinstance(encoder, HeldEncoder)
    watched = _Watched(training, change, quiet=quiet)
    trace = Trace(state_of(training.parts), [])
    for step in range(NUM_STEPS):
        encoder.memory.step = step
        training(step)
        gradient = None if encoder.leaf is None else encoder.leaf.grad
        trace.glimpses.append(watched.glimpse(gradient))
        if until_clear_against is not None and trace.against(until_clear_against).largest > CLEAR:
            return trace
    encoder.memory.step = NUM_STEPS
    with torch.no_grad():
        training.objective(*training.draw(NUM_STEPS, 0))
    trace.glimpses.append(watched.glimpse(None))
    return trace


class _Watched:
    """Hooks on a trial's parts: same draws for each, and what the objective gave."""

    def __init__(self, training: TrainingStep, change: Change, *, quiet: bool) -> None:
        self._training = training
        self._calls: dict[str, int] = {}
        self._quiet = quiet
        self._outcome: Outcome | None = None
        training.objective.register_forward_hook(self._keep)
        online = training.parts.online
        for name in ("quantizer", "aggregator", "predictor", "projector"):
            getattr(online, name).register_forward_pre_hook(self._prepares(name))
        for name, loss in training.parts.losses.items():
            loss.register_forward_pre_hook(self._prepares(f"losses.{name}"))
        if change.rolled_context:
            online.aggregator.register_forward_pre_hook(_roll)
        if change.noise:
            online.aggregator.register_forward_hook(
                lambda _m, _a, state: state * (1 + change.noise * torch.randn_like(state))
            )

    def glimpse(self, gradient: Tensor | None) -> Glimpse:
        """What the newest step left."""
        assert self._outcome is not None
        return Glimpse(
            total=self._outcome.total.detach().clone(),
            embeddings=self._outcome.forward.z_context.detach().float().clone(),
            gradient=None if gradient is None else gradient.detach().clone(),
            state=state_of(self._training.parts),
        )

    def _prepares(self, name: str) -> Any:
        def prepare(module: nn.Module, _arguments: Any) -> None:
            self._calls[name] = self._calls.get(name, 0) + 1
            _seed(derived_seed(self._training.recipe.train.seed, "audit", name, self._calls[name]))
            module.train(not self._quiet)

        return prepare

    def _keep(self, _module: nn.Module, _arguments: Any, outcome: Outcome) -> None:
        self._outcome = outcome


def _seed(seed: int) -> None:
    """Seed torch's generators. Without `torch.manual_seed`: where CUDA is not in use, that notes a traceback each."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def _roll(_module: nn.Module, arguments: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    values, mask = arguments
    return values.roll(1, dims=1), mask.roll(1, dims=1)


def state_of(parts: Parts) -> dict[str, Tensor]:
    """Copies of all parameters and buffers behind the encoder."""
    online = parts.online
    modules = {name: getattr(online, name) for name in ("quantizer", "aggregator", "predictor", "projector")}
    modules |= {f"losses.{name}": loss for name, loss in parts.losses.items()}
    return {
        f"{part}|{name}": tensor.detach().clone()
        for part, module in modules.items()
        for name, tensor in module.state_dict().items()
    }


def relative_change(value: Tensor, origin: Tensor) -> float:
    """‖value − origin‖ / ‖origin‖; 1 where the origin is zero and the value is not."""
    difference, size = float((value - origin).norm()), float(origin.norm())
    return difference / size if size else float(difference != 0)


def _gradient_change(mine: Tensor | None, theirs: Tensor | None) -> float:
    if mine is None or theirs is None:
        return float(mine is not theirs)
    return relative_change(mine, theirs)


def _movement_change(
    my_start: Mapping[str, Tensor],
    mine: Mapping[str, Tensor],
    start: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
) -> float:
    """The largest over parts of ‖my movement − their movement‖ / ‖their movement‖; what has other shapes left out."""
    squares: dict[str, list[Tensor]] = {}
    for name, tensor in theirs.items():
        other = mine.get(name)
        if other is None or other.shape != tensor.shape or not tensor.is_floating_point():
            continue
        movement = tensor - start[name]
        pair = torch.stack([(other - my_start[name] - movement).norm() ** 2, movement.norm() ** 2])
        squares.setdefault(name.partition("|")[0], []).append(pair)
    ratios = [0.0]
    for pairs in squares.values():
        differs, moved = torch.stack(pairs).sum(0).sqrt().tolist()
        ratios.append(differs / moved if moved else float(differs != 0))
    return largest_of(ratios)


def _equal(mine: Tensor | None, theirs: Tensor | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return mine.shape == theirs.shape and bool(torch.equal(mine, theirs))
