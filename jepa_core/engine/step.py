"""One training step, as the paper's algorithm box reads. Knows nothing of rows, files or the watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from jepa_core.contracts import ALONE, Crew, HasState, Observations, Statistics, ViewTransform
from jepa_core.engine.batches import BatchStream
from jepa_core.engine.compiling import Compiling, keep_compiled
from jepa_core.engine.course import Course
from jepa_core.engine.cuda_graphs import WARM_UP, NotCapturableError, Replay
from jepa_core.engine.device import Compute
from jepa_core.engine.meters import Meters, together
from jepa_core.engine.network import Parts
from jepa_core.engine.objective import Objective, StepOutcome, declared_views
from jepa_core.engine.optimizer import GatedAdam, LossScale, clip_gradients, ema_decay, learning_rate
from jepa_core.engine.parallel import SharedObjective
from jepa_core.engine.seeds import seed_phase
from jepa_core.engine.sharding import ShardedObjective, Shards, averaged
from jepa_core.engine.slices import is_sharded, local, total_norm
from jepa_core.engine.vote import Vote
from jepa_core.recipes.tables import Recipe


class _DroppedError(Exception):
    """The step is not to be finished."""


class TrainingStep:
    """Everything that one optimizer step reads and writes."""

    def __init__(
        self,
        recipe: Recipe,
        parts: Parts,
        batches: BatchStream,
        compute: Compute,
        course: Course,
        *,
        augment: ViewTransform,
        run_steps: int | None = None,
        crew: Crew = ALONE,
        shards: Shards | None = None,
    ) -> None:
        """`run_steps`: what schedules span; the course's steps when not given. `crew`: who shares the batches.
        `shards`: who shares the parameters, too."""
        self.augment = augment
        self.crew = crew
        self.recipe = recipe
        self.parts = parts
        self.batches = batches
        self.compute = compute
        self.course = course
        self._run_steps = run_steps
        self.objective = Objective(parts, {name: entry.weight for name, entry in recipe.losses.items()}, crew)
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
        self.shards = shards
        self._shared: SharedObjective | ShardedObjective | None = None
        if shards is not None:
            self._shared = ShardedObjective(self.objective, shards)
        elif crew.size > 1:
            self._shared = SharedObjective(self.objective)
        self._forward: Callable[[Observations, Mapping[str, Observations]], StepOutcome] = (
            self._shared or self.objective
        )
        self._is_compiled_anew = False
        self.replay = Replay(compute.device)
        self.not_replayed = ""
        """Why steps are launched kernel by kernel although they were to be replayed."""
        self.compiling = Compiling(recipe, compute)
        self.not_compiled = ""
        """Why steps are not compiled although they were to be."""
        self._first_step: int | None = None
        self._phase: tuple[int | str, ...] = ()
        """What the micro-batch under way was seeded with."""
        if recipe.train.compile is True:
            self.compile()

    @property
    def run_steps(self) -> int:
        """Steps that schedules span."""
        return self.course.run_steps if self._run_steps is None else self._run_steps

    def __call__(self, step: int, goes_on: Callable[[int], bool] = lambda _: True) -> bool:
        """Take optimizer step `step`, counted from 0; whether it was taken.

        `goes_on` is asked before each micro-batch, with its number. Where it says no the step is dropped: until its
        last micro-batch is done nothing has changed but gradients, and what it drew depends on its number alone.
        """
        self.parts.online.train()
        try:
            if self._is_replay_due(step):
                figures = self._first_replayed(partial(self._take, step, lambda _: True))
            elif self._is_compiled_anew:
                figures = self._first_compiled(partial(self._take, step, goes_on))
            else:
                figures = self._take(step, goes_on)
        except _DroppedError:
            self.optimizer.zero_grad()
            return False
        self.meters.add(*figures)
        self.meters.note({"lr": self._lr(step), "target.ema_decay": self._decay(step)})
        return True

    def compile(self) -> None:
        """Compile the forward pass, in the next step: it takes long. Where it cannot be, it is not."""
        if self.shards is not None:
            self.not_compiled = 'train.parallel = "fsdp" puts modules together as they are needed'
            return
        try:
            keep_compiled()
        except OSError as error:
            self.not_compiled = f"torch cannot keep what it compiles: {error}"
            return
        self._forward, self._is_compiled_anew = torch.compile(self._shared or self.objective), True
        self.replay.stop()
        self._first_step = None

    def _take(self, step: int, goes_on: Callable[[int], bool]) -> tuple[list[str], Tensor]:
        """The step, and its figures. What is between two seeds is a stage, which a GPU replays as it was captured."""
        train, run = self.recipe.train, self.replay.run
        self.optimizer.zero_grad()
        outcomes = []
        for micro in range(train.accumulate):
            if not goes_on(micro):
                raise _DroppedError
            batch = self._drawn(step, micro)
            with self._gradients_kept(micro):
                outcomes.append(run(f"micro-batch {micro}", self._learn, batch))
        accept, figures = run("update", partial(self._update, outcomes), self._lr(step), self._decay(step), step)
        seed_phase(train.seed, "step", step, "after")
        run("state", partial(self._apply_statistics, outcomes, accept))
        return figures

    def _gradients_kept(self, micro: int) -> AbstractContextManager[None]:
        """Within it ranks keep their gradients to themselves, up to the last micro-batch, where they are averaged."""
        is_last = micro == self.recipe.train.accumulate - 1
        return nullcontext() if self._shared is None else self._shared.waiting(is_last=is_last)

    def _learn(self, batch: Observations) -> StepOutcome:
        """Add a micro-batch's gradients to the parameters'."""
        batch, views = self._augmented(batch)
        with self.compute.autocast():
            outcome = self._forward(batch, views)
        self.loss_scale.scaled(outcome.total / self.recipe.train.accumulate).backward()
        return outcome

    @torch.no_grad()
    def _update(
        self, outcomes: list[StepOutcome], lr: float | Tensor, decay: float | Tensor, step: int | Tensor
    ) -> tuple[Tensor, tuple[list[str], Tensor]]:
        """Move the weights and their averages by the gradients, if these are finite; whether they are, and figures."""
        if self.shards is not None:
            averaged(list(self.parameters.values()), self.crew)
        found = [p.grad for p in self.parameters.values() if p.grad is not None]
        gradients = [local(gradient) for gradient in found]
        loss = self.crew.mean(torch.stack([outcome.total.detach() for outcome in outcomes]).mean())

        self.loss_scale.unscale_(gradients)
        grad_norm = total_norm(found, self.crew)
        accept = self.vote.cast(step, loss, grad_norm, scaled=self.loss_scale.enabled)
        self.loss_scale.update(grad_norm)
        clipped = clip_gradients(gradients, grad_norm, self.recipe.train.clip_norm)

        self.optimizer.step(lr, accept)
        self.parts.target.follow(self.parts.online, decay, accept)
        step_figures = {"grad.norm": grad_norm, "grad.clipped": clipped, "grad.skipped": (~accept).float()}
        # Gradients that overflow are how fp16 finds its loss scale: no figure of a run that goes on.
        excused = self.vote.goes_on_from_overflow if self.loss_scale.enabled else None
        return accept, together([outcome.figures for outcome in outcomes], step_figures, excused)

    def _apply_statistics(self, outcomes: list[StepOutcome], accept: Tensor) -> None:
        """Codebooks, queues and the like follow what the step has seen."""
        for name, component in self._stateful.items():
            apply_gated(component, self.crew.merged([outcome.statistics[name] for outcome in outcomes]), accept)

    def _lr(self, step: int) -> float:
        along = self.course.along(step, self.run_steps)
        return learning_rate(self.recipe.schedule, self.recipe.optimizer.lr, step, self.run_steps, along)

    def _decay(self, step: int) -> float:
        target, along = self.recipe.target, self.course.along(step, self.run_steps)
        return ema_decay(target.ema_decay, target.ema_decay_end, along, self.run_steps)

    def _is_replay_due(self, step: int) -> bool:
        """Once a process, when what first steps make is there."""
        if self._first_step is None:
            self._first_step = step
        is_due = self.recipe.train.replay and self.compute.device.type == "cuda" and step == self._first_step + WARM_UP
        if is_due and self.crew.size > 1:
            self.not_replayed = f"{self.crew.size} ranks take it together"
            return False
        return is_due

    def _first_replayed(self, take: Callable[[], tuple[list[str], Tensor]]) -> tuple[list[str], Tensor]:
        try:
            return self.replay.start(take, self.memory)
        except NotCapturableError as error:
            self.not_replayed = str(error)
            return take()

    def _first_compiled(self, take: Callable[[], tuple[list[str], Tensor]]) -> tuple[list[str], Tensor]:
        self._is_compiled_anew = False
        try:
            figures = take()
        except _DroppedError:
            self._is_compiled_anew = True
            raise
        except Exception as error:
            # A fault of the step's own comes again without the compiler.
            self._forward = self._shared or self.objective
            figures = take()
            told = " ".join(filter(None, map(str.strip, str(error).splitlines()[:2])))
            self.not_compiled = f"{type(error).__name__}: {told}"
        else:
            self.compiling.note_compiled()
        return figures

    def whole(self) -> AbstractContextManager[None]:
        """Within it this rank can compute by itself. All ranks enter."""
        return nullcontext() if self.shards is None else self.shards.whole()

    def memory(self) -> dict[str, Tensor]:
        """All that a step writes for the next one."""
        owners = {"online": self.parts.online, "target": self.parts.target, "losses": self.parts.losses}
        memory = {f"{owner}.{name}": t for owner, module in owners.items() for name, t in module.state_dict().items()}
        for name, moments in self.optimizer.state().items():
            memory |= {f"optimizer.{name}.{moment}": tensor for moment, tensor in moments.items()}
        return memory | {f"vote.{k}": t for k, t in self.vote.state().items()} | dict(self.loss_scale.state())

    def common_memory(self) -> dict[str, Tensor]:
        """That of it which all ranks have alike: no slices."""
        return {name: tensor for name, tensor in self.memory().items() if not is_sharded(tensor)}

    def draw(self, step: int, micro: int) -> tuple[Observations, dict[str, Observations]]:
        """This rank's part of the augmented micro-batch and of its views. Seeds what the forward pass draws, too."""
        return self._augmented(self._drawn(step, micro))

    def _drawn(self, step: int, micro: int) -> Observations:
        """The micro-batch as the dataset has it; seeds what is drawn after it."""
        started = time.perf_counter()
        batch = self.batches.draw(self.course.at(step, micro), self.course.at(step, micro + 1))
        self.meters.note_time("time.data", time.perf_counter() - started)
        self._phase = ("step", step, "micro", micro)
        seed_phase(self.recipe.train.seed, *self._phase)
        return batch

    def _augmented(self, batch: Observations) -> tuple[Observations, dict[str, Observations]]:
        batch = self.augment(batch)
        views = {name: transform(batch) for name, transform in self.views.items()}
        if self.crew.size == 1:
            return batch, views
        # Drawn for the whole, so that each sequence is changed as one process would have changed it.
        mine = self.crew.mine(len(batch))
        if self.crew.rank:
            seed_phase(self.recipe.train.seed, *self._phase, "rank", self.crew.rank)
        return batch[mine], {name: view[mine] for name, view in views.items()}


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
