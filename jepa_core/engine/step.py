"""One training step, as the paper's algorithm box reads. Knows nothing of rows, files or the watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from jepa_core.contracts import HasState, Observations, Statistics, ViewTransform
from jepa_core.engine.batches import BatchStream
from jepa_core.engine.device import Compute
from jepa_core.engine.meters import Meters
from jepa_core.engine.network import Parts
from jepa_core.engine.objective import Objective, Outcome, declared_views
from jepa_core.engine.optimizer import GatedAdam, LossScale, clip_gradients, ema_decay, learning_rate
from jepa_core.engine.seeds import seed_phase
from jepa_core.engine.vote import Vote
from jepa_core.recipes.tables import Recipe


class TrainingStep:
    """Everything that one optimizer step reads and writes."""

    def __init__(
        self,
        recipe: Recipe,
        parts: Parts,
        batches: BatchStream,
        compute: Compute,
        run_steps: int,
        *,
        augment: ViewTransform,
    ) -> None:
        self.augment = augment
        self.recipe = recipe
        self.parts = parts
        self.batches = batches
        self.compute = compute
        self.run_steps = run_steps
        self.objective = Objective(parts, {name: entry.weight for name, entry in recipe.losses.items()})
        self.views = declared_views(parts.losses)
        self.parameters = trained_parameters(parts)
        self.optimizer = GatedAdam(recipe.optimizer, self.parameters)
        self.vote = Vote(recipe.train.non_finite, compute.device)
        self.loss_scale = LossScale(enabled=compute.precision == "fp16", device=compute.device)
        self.meters = Meters(compute.device)
        self._stateful: dict[str, HasState] = {
            name: module
            for name, module in {"quantizer": parts.online.quantizer, **dict(parts.losses.items())}.items()
            if isinstance(module, HasState)
        }
        self._forward: Callable[[Observations, Mapping[str, Observations]], Outcome] = (
            torch.compile(self.objective) if recipe.train.compile else self.objective
        )

    def __call__(self, step: int) -> None:
        """Take optimizer step `step`, counted from 0."""
        train = self.recipe.train
        parameters = list(self.parameters.values())
        self.parts.online.train()
        self.optimizer.zero_grad()

        outcomes = []
        for micro in range(train.accumulate):
            started = time.perf_counter()
            batch, views = self.draw(step, micro)
            self.meters.note_time("time.data", time.perf_counter() - started)
            with self.compute.autocast():
                outcome = self._forward(batch, views)
            self.loss_scale.scaled(outcome.total / train.accumulate).backward()
            outcomes.append(outcome)
        loss = torch.stack([outcome.total.detach() for outcome in outcomes]).mean()

        self.loss_scale.unscale_(parameters)
        grad_norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None], foreach=True)
        accept = self.vote.cast(step, loss, grad_norm, scaled=self.loss_scale.enabled)
        self.loss_scale.update(grad_norm)
        clipped = clip_gradients(parameters, grad_norm, train.clip_norm)

        lr = learning_rate(self.recipe.schedule, self.recipe.optimizer.lr, step, self.run_steps)
        decay = ema_decay(self.recipe.target.ema_decay, self.recipe.target.ema_decay_end, step, self.run_steps)
        self.optimizer.step(lr, accept)
        self.parts.target.follow(self.parts.online, decay, accept)
        seed_phase(train.seed, "step", step, "after")
        for name, component in self._stateful.items():
            apply_gated(component, Statistics.merge([outcome.statistics[name] for outcome in outcomes]), accept)

        step_figures = {"grad.norm": grad_norm, "grad.clipped": clipped, "grad.skipped": (~accept).float()}
        self.meters.add([outcome.figures for outcome in outcomes], step_figures)
        self.meters.note({"lr": lr, "target.ema_decay": decay})

    def draw(self, step: int, micro: int) -> tuple[Observations, dict[str, Observations]]:
        """The augmented micro-batch and its views. Seeds everything that the forward pass draws, too."""
        seed_phase(self.recipe.train.seed, "step", step, "micro", micro)
        batch = self.augment(self.batches.draw(step * self.recipe.train.accumulate + micro))
        return batch, {name: transform(batch) for name, transform in self.views.items()}


def trained_parameters(parts: Parts) -> dict[str, nn.Parameter]:
    """Qualified name → parameter, for everything the optimizer moves."""
    return {
        f"{part}.{name}": parameter
        for part, module in parts.trained().items()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


@torch.no_grad()
def apply_gated(component: HasState, statistics: Statistics, accept: Tensor) -> None:
    """Let a component apply its statistics, and undo that on the device where `accept` is false."""
    assert isinstance(component, nn.Module)
    before = {name: tensor.clone() for name, tensor in component.state_dict().items()}
    component.after_step(statistics)
    for name, tensor in component.state_dict().items():
        tensor.copy_(torch.where(accept, tensor, before[name]))
