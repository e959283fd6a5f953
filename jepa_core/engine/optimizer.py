"""Adam and AdamW over named parameters, fused, gated on the device by the vote; the learning rate; the loss scale."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from jepa_core.engine.slices import local, sharded_as, slice_of
from jepa_core.recipes.tables import Optimizer, Schedule

EPSILON = 1e-8
"""Added to the root of the second moment."""


class GatedAdam:
    """Adam or AdamW (arXiv 1412.6980, 1711.05101) by torch's fused kernels, which changes nothing on a refused step.

    The kernels are called as `torch.optim` calls them, without its classes: these load torch's compiler, which takes
    seconds of every start.
    """

    def __init__(self, config: Optimizer, parameters: Mapping[str, nn.Parameter]) -> None:
        self.parameters = dict(parameters)
        self.config = config
        self._update = torch._fused_adamw_ if config.kind == "adamw" else torch._fused_adam_
        self._moments = {name: _no_moments(parameter) for name, parameter in self.parameters.items()}
        """Name of a parameter → `step`, `exp_avg` and `exp_avg_sq`, as torch names them."""

    @torch.no_grad()
    def step(self, lr: float | Tensor, accept: Tensor) -> None:
        """One update with this learning rate; none at all, moments included, where `accept` is false."""
        refused = (~accept).float()
        for weight_decay, names in self._groups().items():
            parameters = [self.parameters[name] for name in names]
            moments = [self._moments[name] for name in names]
            steps = [each["step"] for each in moments]
            torch._foreach_add_(steps, 1)
            self._update(
                [local(parameter) for parameter in parameters],
                [local(parameter.grad) for parameter in parameters if parameter.grad is not None],
                [each["exp_avg"] for each in moments],
                [each["exp_avg_sq"] for each in moments],
                [],
                steps,
                lr=lr,
                beta1=self.config.beta1,
                beta2=self.config.beta2,
                weight_decay=weight_decay,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
                # As a gradient scaler would set it: 1 leaves everything as it was.
                found_inf=refused,
            )
            torch._foreach_sub_(steps, [refused] * len(steps))

    def zero_grad(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Moments and step counts by parameter name, for checkpoints."""
        return {
            name: {key: slice_of(self.parameters[name], moment) for key, moment in moments.items()}
            for name, moments in self._moments.items()
        }

    def _groups(self) -> dict[float, list[str]]:
        """Names of parameters with a gradient, by weight decay, which AdamW keeps from vectors and scalars."""
        groups: dict[float, list[str]] = {}
        for name, parameter in self.parameters.items():
            is_decayed = parameter.ndim >= 2 or self.config.kind == "adam"
            if parameter.grad is not None:
                groups.setdefault(self.config.weight_decay if is_decayed else 0.0, []).append(name)
        return groups

    def restore_fitting(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """From a checkpoint of another recipe: what parameters of its names and shapes remember."""
        self.restore({name: moments for name, moments in state.items() if self._fits(name, moments)})

    def forget(self, names: Collection[str]) -> None:
        """Drop what parameters remember that start anew."""
        for name in names:
            if name in self.parameters:
                self._moments[name] = _no_moments(self.parameters[name])

    def _fits(self, name: str, moments: Mapping[str, Tensor]) -> bool:
        parameter = self.parameters.get(name)
        return parameter is not None and all(
            moment.shape == (() if key == "step" else parameter.shape) for key, moment in moments.items()
        )

    def restore(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """From a checkpoint; parameters of which it knows nothing are as before their first step."""
        self._moments = {name: _no_moments(parameter) for name, parameter in self.parameters.items()} | {
            name: {key: _laid_out_as(self.parameters[name], value) for key, value in moments.items()}
            for name, moments in state.items()
        }


def _no_moments(parameter: Tensor) -> dict[str, Tensor]:
    """As they are before the first step."""
    step, values = torch.zeros((), device=parameter.device), local(parameter)
    return {"step": step, "exp_avg": torch.zeros_like(values), "exp_avg_sq": torch.zeros_like(values)}


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """A copy on the parameter's device, in its layout: fused kernels walk both in the order of memory."""
    if moment.shape != parameter.shape:
        return moment.to(parameter.device, copy=True)
    return torch.empty_like(local(parameter), dtype=moment.dtype).copy_(local(sharded_as(parameter, moment)))


def clip_gradients(gradients: Sequence[Tensor], grad_norm: Tensor, max_norm: float | None) -> Tensor:
    """Scale gradients down to `max_norm` in place; returns whether that was needed, as 0 or 1 on the device.

    As `torch.nn.utils.clip_grads_with_norm_`, which takes parameters, and so no slices of them.
    """
    if max_norm is None:
        return torch.zeros_like(grad_norm)
    if gradients:
        torch._foreach_mul_(list(gradients), (max_norm / (grad_norm + 1e-6)).clamp(max=1.0))
    return (grad_norm > max_norm).float()


def learning_rate(config: Schedule, peak: float, step: int, run_steps: int, along: float | None = None) -> float:
    """Linear warm-up to `peak`, then a cosine (arXiv 1608.03983) down to `floor` × `peak`, constant after the end.

    `step` counts from 0: the rate of the step about to be taken. Without `total_steps` the cosine spans the run, and
    goes by the share of its samples that is done: by step `along` of `run_steps`, where steps before were of another
    size.
    """
    if step < config.warmup_steps:
        return peak * (step + 1) / config.warmup_steps
    reached = step if along is None or config.total_steps else along
    total = config.total_steps or run_steps
    progress = min(1.0, max(0.0, reached - config.warmup_steps) / max(1, total - config.warmup_steps))
    return peak * (config.floor + (1 - config.floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def ema_decay(start: float, end: float | None, step: float, run_steps: int) -> float:
    """The target's decay at a step: a cosine from `start` to `end` (arXiv 2006.07733), or constant."""
    if end is None:
        return start
    progress = min(1.0, step / max(1, run_steps - 1))
    return end - (end - start) * 0.5 * (1 + math.cos(math.pi * progress))


class LossScale:
    """Loss scaling for fp16 (Micikevicius et al., arXiv 1710.03740), on the device, without a sync.

    Multiplies the loss before backward and divides the gradients after it. Without `enabled` it is the identity.
    torch's GradScaler decides on its own whether the optimizer steps; here the vote decides for all state at once.
    """

    GROWTH_INTERVAL = 2000
    LARGEST = 2.0**24

    def __init__(self, *, enabled: bool, device: torch.device) -> None:
        self.enabled = enabled
        self.scale = torch.full((), 2.0**16 if enabled else 1.0, device=device)
        self.good_steps = torch.zeros((), dtype=torch.int64, device=device)

    def scaled(self, loss: Tensor) -> Tensor:
        return loss * self.scale if self.enabled else loss

    @torch.no_grad()
    def unscale_(self, gradients: Sequence[Tensor]) -> None:
        """Divide all gradients by the scale, in place."""
        if self.enabled and gradients:
            torch._foreach_mul_(list(gradients), 1.0 / self.scale)

    def update(self, grad_norm: Tensor) -> None:
        """Halve after an overflow, double after many good steps."""
        if not self.enabled:
            return
        finite = torch.isfinite(grad_norm)
        good_steps = torch.where(finite, self.good_steps + 1, torch.zeros_like(self.good_steps))
        grow = good_steps >= self.GROWTH_INTERVAL
        factor = torch.where(finite, torch.where(grow, 2.0, 1.0), 0.5)
        self.scale.copy_((self.scale * factor).clamp(min=1.0, max=self.LARGEST))
        self.good_steps.copy_(torch.where(grow, torch.zeros_like(good_steps), good_steps))

    def state(self) -> dict[str, Tensor]:
        """For checkpoints."""
        return {"scale": self.scale, "good_steps": self.good_steps}

    def restore(self, state: dict[str, Tensor]) -> None:
        """From a checkpoint."""
        self.scale.copy_(state["scale"])
        self.good_steps.copy_(state["good_steps"])
