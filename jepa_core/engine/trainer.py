"""The loop around the step: rows, diagnostics, validation, checkpoints, and how a run ends.

Knows the run directory only through `Record`, and the screen not at all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import attrs
import torch

from jepa_core.contracts import GridDataset, NeedsInitialisation
from jepa_core.engine.batches import BatchStream
from jepa_core.engine.calendar import Calendar
from jepa_core.engine.checkpoint import Checkpoint, CheckpointFolder
from jepa_core.engine.device import Compute
from jepa_core.engine.diagnostics import Diagnostics
from jepa_core.engine.early_stopping import EarlyStopping
from jepa_core.engine.evaluation import Validation, evaluation_mode
from jepa_core.engine.interruption import Interruption
from jepa_core.engine.network import build_parts
from jepa_core.engine.non_finite import first_bad_tensor
from jepa_core.engine.seeds import seed_phase
from jepa_core.engine.state_registry import Entry, StateRegistry
from jepa_core.engine.step import TrainingStep
from jepa_core.errors import CheckpointError
from jepa_core.recipe.tables import Recipe
from jepa_core.watch.findings import Severity

INITIAL_SEQUENCES = 1024
INITIAL_TOKENS = 16_384


class Record(Protocol):
    """Where a run's rows and events go."""

    def row(self, row: Mapping[str, float]) -> None: ...

    def diagnosis(self, row: Mapping[str, Any]) -> None: ...

    def event(
        self,
        name: str,
        severity: Severity,
        message: str,
        *,
        step: int,
        evidence: Mapping[str, Any] | None = None,
        advice: str = "",
    ) -> None: ...

    def heartbeat(self, step: int, epoch: float) -> None:
        """Called after every step; cheap unless something is due."""
        ...


@attrs.frozen(kw_only=True)
class Ending:
    """How training ended."""

    state: Literal["finished", "aborted", "interrupted"]
    kind: Literal["finished", "early stop", "non-finite", "interrupted"]
    step: int
    exit_code: int
    reason: str


class Trainer:
    """One run, from its first step or from a checkpoint."""

    def __init__(
        self, recipe: Recipe, dataset: GridDataset, compute: Compute, checkpoints: CheckpointFolder, record: Record
    ) -> None:
        self.recipe = recipe
        self.compute = compute
        self.checkpoints = checkpoints
        self.record = record
        train = recipe.train
        _, length, _, side = dataset.train.grids.shape
        self.parts = build_parts(recipe, side=side, context_length=length - 1, device=compute.device)
        batches = BatchStream(dataset.train, train.batch_size, train.seed, compute.device)
        self.calendar = Calendar(recipe, batches.per_epoch)
        self.step = TrainingStep(recipe, self.parts, batches, compute, self.calendar.run_steps)
        self.diagnostics = Diagnostics(self.step, recipe.diagnostics.sample, chunk=train.batch_size)
        validation = dataset.validation
        self.validation = Validation(validation.grids, validation.sizes, compute, chunk=train.batch_size)
        self.early_stopping = EarlyStopping(recipe.watch.early_stop)
        self.steps_done = 0
        self.best: dict[str, float] = {}
        """Step, epoch and MRR of the best validation."""
        self.state = self._all_state()
        self._row_started = time.perf_counter()

    def _all_state(self) -> StateRegistry:
        state = StateRegistry()
        state.add_module("online", self.parts.online)
        state.add_module("target", self.parts.target)
        state.add_module("losses", self.parts.losses)
        state.add("optimizer", self.step.optimizer)
        state.add("vote", self.step.vote)
        state.add("loss_scale", self.step.loss_scale)
        state.add("meters", self.step.meters)
        state.add("early_stopping", self.early_stopping)
        state.add_entry("progress", Entry(self._progress, self._restore_progress))
        return state

    def _progress(self) -> dict[str, Any]:
        return {"step": self.steps_done, "epoch": self.calendar.epoch(self.steps_done), "best": dict(self.best)}

    def _restore_progress(self, state: Mapping[str, Any]) -> None:
        self.steps_done = int(state["step"])
        self.best = dict(state["best"])

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint instead of from step 0."""
        self.state.write(checkpoint.load())

    def initialise(self) -> None:
        """Data-dependent starts, once before step 0: the codebook from tokens of un-augmented training contexts."""
        quantizer = self.parts.online.quantizer
        if not isinstance(quantizer, NeedsInitialisation):
            return
        grids, sizes = self.step.batches.sample(INITIAL_SEQUENCES)
        with evaluation_mode(self.step.objective), self.compute.autocast():
            parts = [
                self.parts.online.encode(g.flatten(0, 1), s.flatten(0, 1))
                for g, s in zip(grids[:, :-1].split(128), sizes[:, :-1].split(128), strict=True)
            ]
            tokens = torch.cat([part.values[part.mask] for part in parts]).float()
            seed_phase(self.recipe.train.seed, "initialise")
            chosen = torch.randperm(tokens.shape[0], device=tokens.device)[:INITIAL_TOKENS]
            quantizer.initialise(tokens[chosen])

    def train(self, interruption: Interruption) -> Ending:
        """Train to the end, or to what stops it earlier. Leaves a checkpoint in every case but a non-finite stop."""
        if self.steps_done == 0:
            self.initialise()
        self._row_started = time.perf_counter()
        while not self.calendar.is_last(self.steps_done):
            self.step(self.steps_done)
            self.steps_done += 1
            ending = self._after_step(interruption)
            if ending is not None:
                return ending
        return Ending(state="finished", kind="finished", step=self.steps_done, exit_code=0, reason="all epochs done")

    def _after_step(self, interruption: Interruption) -> Ending | None:
        """Rows, checkpoints and reasons to stop, in this order."""
        done = self.steps_done
        row = self._row()
        bad_step = self._bad_step() if row is not None or interruption.stop_signal else -1
        if bad_step >= 0:
            return self._non_finite(bad_step)
        stop_reason = self.early_stopping.stop_after(row) if row else None
        stopping = stop_reason is not None or interruption.stop_signal is not None
        if self.calendar.checkpoint_due(done) or interruption.save_requested or stopping:
            interruption.save_requested = False
            self.save(final=stopping or self.calendar.is_last(done))
        self.record.heartbeat(done, self.calendar.epoch(done))
        if interruption.stop_signal is not None:
            code = interruption.exit_code
            return Ending(
                state="interrupted", kind="interrupted", step=done, exit_code=code, reason="stopped by a signal"
            )
        if stop_reason is not None:
            self.record.event("early_stop", "info", f"Stopped early: {stop_reason}", step=done)
            return Ending(
                state="finished", kind="early stop", step=done, exit_code=0, reason=f"stopped early: {stop_reason}"
            )
        return None

    def _row(self) -> dict[str, float] | None:
        """Everything due after this step as one row, written; None when nothing is due."""
        done, calendar = self.steps_done, self.calendar
        diagnosis_due, validation_due = calendar.diagnosis_due(done), calendar.validation_due(done)
        if not (calendar.row_due(done) or diagnosis_due or validation_due):
            return None
        steps = max(1, self.step.meters.steps)
        row = {"step": done, "epoch": calendar.epoch(done)} | self.step.meters.take()
        seconds = (time.perf_counter() - self._row_started) / steps
        row |= {"time.step": seconds, "throughput.samples_per_second": self._samples_per_step() / seconds}
        if diagnosis_due and self._bad_step() < 0:
            diagnosis = self.diagnostics(done)
            row |= diagnosis.figures
            self.record.diagnosis({"step": done, "epoch": calendar.epoch(done), **diagnosis.detail})
        if validation_due:
            row |= self.validation(self.step.objective, self.step.views)
            self._note_best(row)
        if self.compute.device.type == "cuda":
            row["memory.device_gib"] = torch.cuda.max_memory_allocated(self.compute.device) / 2**30
        self.record.row(row)
        self._row_started = time.perf_counter()
        return row

    def _samples_per_step(self) -> int:
        return self.recipe.train.batch_size * self.recipe.train.accumulate

    def _note_best(self, row: Mapping[str, float]) -> None:
        if row["val.retrieval.mrr"] > self.best.get("mrr", -1.0):
            self.best = {"step": row["step"], "epoch": row["epoch"], "mrr": row["val.retrieval.mrr"]}

    def _bad_step(self) -> int:
        return int(self.step.vote.bad_step)

    def _non_finite(self, bad_step: int) -> Ending:
        """Name the cause. State is that of the last good step; the last checkpoint stays the newest."""
        bad = first_bad_tensor(self.step, bad_step)
        cause = bad.describe() if bad else "nothing in an eager replay of the step"
        message = f"Step {bad_step + 1} was not finite; first: {cause}. No state changed from that step on."
        advice = "Lower optimizer.lr, or set train.clip_norm, or train.precision = 'fp32'; then resume or start again."
        evidence = {"first_bad_tensor": cause, "step": bad_step + 1}
        self.record.event("non_finite", "critical", message, step=bad_step + 1, evidence=evidence, advice=advice)
        return Ending(state="aborted", kind="non-finite", step=bad_step, exit_code=3, reason=message)

    def save(self, *, final: bool = False) -> None:
        """Write a checkpoint and delete those no longer wanted. A full disk is an event; at the end it is an error."""
        try:
            self.checkpoints.save(self.steps_done, self.state.read())
        except CheckpointError as error:
            self.record.event("checkpoint_failed", "critical", str(error), step=self.steps_done)
            if final:
                raise
            return
        best = self.best.get("step")
        self.checkpoints.prune(None if best is None else int(best))
        self.record.event("checkpoint", "info", f"checkpoint step {self.steps_done}", step=self.steps_done)
