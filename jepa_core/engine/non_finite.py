"""After the vote refused a step: repeat it eagerly and name the first tensor that is not finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from jepa_core.engine.slices import local
from jepa_core.engine.step import TrainingStep, trained_parameters
from jepa_core.engine.vote import OVERFLOWS_IN_A_ROW


@attrs.frozen
class BadTensor:
    """The first tensor that was not finite, in the order of the computation."""

    where: str
    """Such as "encoder.input.weight of the online network" or "output of online.encoder.layers.1"."""
    count: int
    """Elements that are not finite."""
    shape: tuple[int, ...]

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


def cause_on_ranks(training: TrainingStep, step: int) -> Cause:
    """The same where several share the batch: each repeats its own part, and the first that finds something tells."""
    crew = training.crew
    with training.whole(), crew.alone():
        cause = cause_of(training, step)
    if crew.size == 1:
        return cause
    said = crew.heard(attrs.asdict(cause))
    rank = next((rank for rank, each in enumerate(said) if each["is_known"]), 0)
    return attrs.evolve(Cause(**said[rank]), what=f"on rank {rank}, {said[rank]['what']}")


def cause_of(training: TrainingStep, step: int) -> Cause:
    """Why the vote gave up at `step`, in words. Changes no state but gradients."""
    if training.vote.scaling_collapsed:
        return Cause(
            what=f"fp16 loss scaling collapsed, the gradients overflowed in {OVERFLOWS_IN_A_ROW} steps in a row",
            advice="Start again with train.precision = 'bf16' or 'fp32', or with a lower optimizer.lr.",
        )
    bad = first_bad_tensor(training, step)
    return Cause(
        what=f"first {bad.describe()}" if bad else "which tensor is not known, as the step is finite when repeated",
        advice="Start again with a lower optimizer.lr or train.clip_norm, or with train.precision = 'fp32'.",
        is_known=bad is not None,
    )


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
        batch, views = training.draw(step, micro)
        with _watched(training.objective) as found, training.compute.autocast():
            outcome = training.objective(batch, views)
        if found:
            return found[0]
        for name, term in outcome.terms.items():
            bad = _examine(f"loss {name} at micro-batch {micro}", term)
            if bad:
                return bad
        training.loss_scale.scaled(outcome.total / training.recipe.train.accumulate).backward()
    # Asked for anew: of a sharded module these are its whole parameters, while it has them.
    named = [(n, p.grad) for n, p in trained_parameters(training.parts).items() if p.grad is not None]
    training.loss_scale.unscale_([gradient for _, gradient in named])
    examined = (_examine(f"gradient of {name}", gradient) for name, gradient in named)
    return next((bad for bad in examined if bad), None)


@contextmanager
def _watched(root: nn.Module) -> Iterator[list[BadTensor]]:
    """Collect bad module outputs, in the order of computation."""
    found: list[BadTensor] = []

    def hook_for(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def examine_output(_module: nn.Module, _inputs: Any, output: Any) -> None:
            for tensor in _tensors(output):
                bad = _examine(f"output of {name}", tensor)
                if bad:
                    found.append(bad)

        return examine_output

    handles = [module.register_forward_hook(hook_for(name)) for name, module in root.named_modules() if name]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    return [value for value in getattr(output, "__dict__", {}).values() if isinstance(value, Tensor)]


def _examine(where: str, tensor: Tensor) -> BadTensor | None:
    if not tensor.is_floating_point():
        return None
    bad = int((~torch.isfinite(local(tensor))).sum())
    return BadTensor(where, bad, tuple(tensor.shape)) if bad else None
