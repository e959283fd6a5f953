"""The loop around the step: rows, diagnostics, validation, checkpoints, and how a run ends.

Knows the run directory only through `Record`, and the screen not at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from jepa_core.contracts import ALONE, Crew, NeedsInitialisation, SequenceDataset
from jepa_core.engine.agreement import Word, agreed, require_same
from jepa_core.engine.augmentation import built_augmentations
from jepa_core.engine.bad_batch import BatchKeeper
from jepa_core.engine.batches import BatchStream, require_training_batch
from jepa_core.engine.calendar import Calendar
from jepa_core.engine.checkpoint import CheckpointFolder, load_checkpoint
from jepa_core.engine.component_contract import require_contract
from jepa_core.engine.course import Course
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.dataset import require_tokens
from jepa_core.engine.device import Compute
from jepa_core.engine.diagnostics import Diagnostics
from jepa_core.engine.ending import Ending
from jepa_core.engine.evaluation import Validation, evaluation_mode, sequences_at_once
from jepa_core.engine.fitting_state import StartedAnew, parameters_anew
from jepa_core.engine.interruption import Interruption, UnderWay
from jepa_core.engine.network import build_parts
from jepa_core.engine.non_finite import cause_on_ranks, keep_skipped
from jepa_core.engine.nulls import ChosenNulls
from jepa_core.engine.parallel import require_equal_shares
from jepa_core.engine.record import Record
from jepa_core.engine.run_state import run_state
from jepa_core.engine.saving import NotFiniteStateError, Saving
from jepa_core.engine.seeds import seed_phase
from jepa_core.engine.sharding import Shards
from jepa_core.engine.slices import whole_tree
from jepa_core.engine.state_registry import Entry
from jepa_core.engine.step import TrainingStep
from jepa_core.recipes.tables import Recipe
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from jepa_core.watch.findings import Severity
from jepa_core.watch.nulls import RankedNulls

INITIAL_SEQUENCES = 1024
INITIAL_TOKENS = 16_384


class Trainer:
    """One run, from its first step or from a checkpoint."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: SequenceDataset,
        compute: Compute,
        checkpoints: CheckpointFolder,
        record: Record,
        *,
        crew: Crew = ALONE,
    ) -> None:
        self.recipe = recipe
        self.compute = compute
        self.checkpoints = checkpoints
        self.record = record
        train = recipe.train
        self.crew = crew
        self.shape = DataShape.of(dataset)
        require_equal_shares(train, crew)
        require_training_batch(recipe, dataset)
        self.parts = build_parts(recipe, self.shape, compute.device, crew)
        batches = BatchStream(dataset.train, train.batch_size, train.seed, compute.device, place=recipe.place)
        course, augment = Course.of(recipe, len(dataset.train)), built_augmentations(recipe, self.shape)
        parts, shards = self.parts, Shards.of(train, self.parts, crew, compute.device)
        self.step = TrainingStep(recipe, parts, batches, compute, course, augment=augment, crew=crew, shards=shards)
        self.diagnostics = Diagnostics(
            self.step, recipe.diagnostics.sample, sequences_at_once(compute, train.batch_size)
        )
        self.dataset = dataset
        self.keeper = BatchKeeper(self.step, dataset, record.keep_batch)
        self.validation = Validation(dataset.space, dataset.validation, compute, chunk=train.batch_size)
        self.steps_done = 0
        self.best: dict[str, float] = {}
        """Step, epoch and MRR of the best validation."""
        self.course_before: Course | None = None
        """The way through the data before the run went on with batches of another size; None where it did not."""
        self._is_initialised = self._ends = False
        self.under_way: UnderWay = "step"
        """What goes on now: nothing but a step is broken off. Any thread may ask."""
        progress = Entry(self._progress, self._restore_progress)
        step = self.step
        self.state = run_state(
            shape=self.shape, parts=parts, optimizer=step.optimizer, vote=step.vote, loss_scale=step.loss_scale,
            meters=step.meters, progress=progress,
        )  # fmt: skip
        self.saving = Saving(compute.device, record, built=self.state.read())
        self._row_started = time.perf_counter()

    @property
    def calendar(self) -> Calendar:
        """What is due when."""
        return Calendar(self.recipe, self.step.course)

    def _progress(self) -> dict[str, Any]:
        return {
            "step": self.steps_done,
            "epoch": self.calendar.epoch(self.steps_done),
            "best": dict(self.best),
            "course": self.step.course.state(),
            **({"anew": anew} if (anew := self.step.meters.anew) else {}),
        }

    def _restore_progress(self, state: Mapping[str, Any]) -> None:
        self.steps_done = int(state["step"])
        self.best = dict(state["best"])
        self.step.meters.anew = state.get("anew", 0)
        before = Course.restored(state["course"])
        self.step.course = before.fitting(self.step.course, self.steps_done)
        self.course_before = before if self.step.course != before else None

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint instead of from step 0."""
        self.state.write(load_checkpoint(checkpoint))

    def inherit(self, checkpoint: Checkpoint) -> tuple[StartedAnew, ...]:
        """Continue from a checkpoint that another recipe's run wrote; what starts anew because it does not fit."""
        anew = self.state.write_fitting(load_checkpoint(checkpoint))
        names = parameters_anew(anew)
        self.best = {} if anew else self.best  # whose checkpoint is of a model that this run cannot load
        self.step.optimizer.forget(names)
        codebook = parameters_anew(started for started in anew if started.part == "quantizer")
        if codebook:
            self.initialise()
        self.step.meters.begin_anew(len(names & self.step.parameters.keys() | codebook))
        # The target holds copies of what the online network has: telling of it twice says nothing.
        return tuple(dict.fromkeys(anew))

    def initialise(self) -> None:
        """Data-dependent starts before step 0, and a look at what components return before anything is made of it."""
        self._is_initialised = True
        self._initialise_quantizer()
        require_contract(self.step)

    def _initialise_quantizer(self) -> None:
        """The codebook from tokens of un-augmented training contexts."""
        quantizer = self.parts.online.quantizer
        if not isinstance(quantizer, NeedsInitialisation):
            return
        context = self.step.batches.sample(INITIAL_SEQUENCES)[:, :-1]
        with self.crew.alone(), evaluation_mode(self.step.objective), self.compute.autocast():
            parts = [self.parts.online.encode(part.flatten()) for part in context.split(128)]
            tokens = torch.cat([part.values[part.mask] for part in parts]).float()
            require_tokens(len(tokens), len(context), self.recipe)
            seed_phase(self.recipe.train.seed, "initialise")
            chosen = torch.randperm(tokens.shape[0], device=tokens.device)[:INITIAL_TOKENS]
            quantizer.initialise(tokens[chosen])
        for tensor in quantizer.state_dict().values():
            tensor.copy_(self.crew.shared(tensor))

    def rank_nulls(self, chosen: ChosenNulls, recorded: RankedNulls | None = None) -> RankedNulls:
        """Measure what learns nothing on the validation candidates; to be called before a checkpoint is read.

        Args:
            chosen: which nulls.
            recorded: figures of a run that goes on, which it is judged by from its first step to its last.
        """
        self.initialise()
        with self.step.whole(), self.crew.alone():
            self.validation.rank_nulls(chosen, self.dataset, self.step.objective, recorded)
        return self.validation.nulls.ranked

    def train(self, interruption: Interruption) -> Ending:
        """Train to the end, or to what stops it earlier. Leaves a checkpoint in every case but a non-finite stop."""
        if self.steps_done == 0 and not self._is_initialised:
            self.initialise()
        taken_back = self.record.taken_back(self.steps_done, after_row=True)
        word = self._agreed(Word(taken_back=taken_back, ends=self.record.decision.ends))
        if word.taken_back is not None:
            return Ending.rolled_back(self.steps_done, word.taken_back)
        self._ends = word.ends
        try:
            return self._steps(interruption)
        except NotFiniteStateError as error:
            self.keeper.keep(self.steps_done - 1, error.what)
            if self.crew.size > 1 and not error.is_of_last:
                raise
            return Ending.non_finite(self.steps_done, str(error).removesuffix("."))
        finally:
            self.settle()

    def _steps(self, interruption: Interruption) -> Ending:
        if self.recipe.train.compile is True:
            self._tell_of_compiling(
                f"The first step takes longer, about {self.step.compiling.takes:.0f} s: it is compiled."
            )
        self._row_started = time.perf_counter()
        while not self.calendar.is_last(self.steps_done) and not self._ends:
            self._compile_if_it_pays()
            if not self.step(self.steps_done, partial(self._goes_on, interruption)):
                return self._stopped_within_step(interruption)
            self.steps_done += 1
            self.under_way = "step"
            self._tell_of_slower_steps()
            ending = self._after_step(interruption)
            if ending is not None:
                return ending
        return Ending.decided(self.steps_done, self.record.decision)

    def _goes_on(self, interruption: Interruption, micro: int) -> bool:
        """Whether to begin a micro-batch of the step under way. Tells of those that are done."""
        if micro:
            done = self.steps_done + micro / self.recipe.train.accumulate
            self.record.heartbeat(self.steps_done, self.calendar.epoch(done))
        return self._agreed(Word(stop_signal=interruption.stop_signal)).stop_signal is None

    def _stopped_within_step(self, interruption: Interruption) -> Ending:
        """Nothing has come of the step under way, which is taken again on resume: save what the last one left."""
        stop_signal = self._agreed(Word(stop_signal=interruption.stop_signal)).stop_signal
        assert stop_signal is not None
        if self._bad_step() >= 0:
            return self._non_finite()
        self.settle()
        # Rank 0 knows what is written, and where ranks have slices of the state all of them save.
        if any(self.crew.agree([self.crew.leads and self.saving.saved_at != self.steps_done])):
            self.save(final=True)
        return Ending.interrupted(self.steps_done, stop_signal)

    def _after_step(self, interruption: Interruption) -> Ending | None:
        """Rows, checkpoints and what ends the run before its time, in this order."""
        done = self.steps_done
        row = self._row()
        # Read once: a signal that comes from here on is for the next step.
        stopping = interruption.stop_signal
        taken_back = None if stopping else self.record.taken_back(done, after_row=row is not None)
        saves, ends = interruption.take_save_request(), self.record.decision.ends
        word = self._agreed(Word(stop_signal=stopping, taken_back=taken_back, saves=saves, ends=ends))
        stop_signal, taken_back, self._ends = word.stop_signal, word.taken_back, word.ends
        is_final = stop_signal is not None or taken_back is not None or word.ends or self.calendar.is_last(done)
        saving = word.saves or self.calendar.checkpoint_due(done) or is_final
        if (row is not None or saving) and self._bad_step() >= 0:
            ending = self._non_finite()
            return ending if taken_back is None else Ending.rolled_back(ending.step, taken_back)
        if saving:
            self.save(final=is_final and taken_back is None, prune=taken_back is None)
        self.saving.tell()
        self.record.heartbeat(done, self.calendar.epoch(done))
        if taken_back is not None:
            return Ending.rolled_back(done, taken_back)
        if stop_signal is None or word.ends:
            return None
        return Ending.interrupted(done, stop_signal)

    def _agreed(self, seen: Word) -> Word:
        """What holds for all ranks; the time that it takes is waiting for the slowest."""
        started = time.perf_counter()
        word = agreed(self.crew, seen)
        if self.crew.size > 1:
            self.step.meters.note_time("time.wait", time.perf_counter() - started)
        return word

    def _row(self) -> dict[str, float] | None:
        """Everything due after this step as one row, written; None when nothing is due."""
        done, calendar = self.steps_done, self.calendar
        diagnosis_due, validation_due = calendar.diagnosis_due(done), calendar.validation_due(done)
        if not (calendar.row_due(done) or diagnosis_due or validation_due):
            return None
        steps, timed_steps = max(1, self.step.meters.steps), max(1, self.step.meters.timed_steps)
        moment = {"step": done, "epoch": calendar.epoch(done)}
        row = moment | self.step.meters.take(self.crew)
        seconds = (time.perf_counter() - self._row_started) / timed_steps
        if self.crew.size > 1:
            self.record.rank_row(moment | self.step.meters.own | {"time.step": seconds} | self._peak_memory())
            if diagnosis_due:
                require_same(self.crew, self.step.common_memory(), done)
        train = self.recipe.train
        row |= {"time.step": seconds, "throughput.samples_per_second": train.batch_size * train.accumulate / seconds}
        is_sound = self._bad_step() < 0
        if is_sound and (diagnosis_due or validation_due):
            moved = self.diagnostics.moved() if diagnosis_due else None
            with self.step.whole(), self.crew.alone():
                if self.crew.leads:
                    row |= self._looked_at(done, moved, validation_due=validation_due)
        row |= self._peak_memory()
        self.record.row(row)
        if is_sound and row.get("grad.skipped"):
            self._tell_of_skipped(row["grad.skipped"] * steps)
        self._row_started = time.perf_counter()
        return row

    def _looked_at(self, done: int, moved: dict[str, Tensor] | None, *, validation_due: bool) -> dict[str, float]:
        """What diagnostics and validation have found, where they are due."""
        row, calendar = dict[str, float](), self.calendar
        self.under_way = "validation" if validation_due else "diagnosis"
        if moved is not None:
            diagnosis = self.diagnostics(done, moved)
            row |= diagnosis.figures
            self.record.diagnosis({"step": done, "epoch": calendar.epoch(done), **diagnosis.detail})
        if validation_due:
            hard = calendar.is_last(done) or calendar.validations(done) % self.validation.hard_every() == 0
            probes, step = calendar.probe_due(done), self.step
            row |= self.validation(step.objective, step.views, with_hard=hard, with_probes=probes)
            if not self.best:
                row |= self.validation.first_row()
            if row["val.retrieval.mrr"] > self.best.get("mrr", -1.0):
                self.best = {"step": done, "epoch": calendar.epoch(done), "mrr": row["val.retrieval.mrr"]}
        self.under_way = "step"
        return row

    def _peak_memory(self) -> dict[str, float]:
        if self.compute.device.type != "cuda":
            return {}
        return {"memory.device_gib": torch.cuda.max_memory_allocated(self.compute.device) / 2**30}

    def _bad_step(self) -> int:
        return self.step.vote.given_up_at(self.steps_done, is_last=self.calendar.is_last(self.steps_done))

    def _compile_if_it_pays(self) -> None:
        prospect = self.step.compiling.prospect(self.steps_done, self.step.run_steps)
        if prospect is None or not self.crew.told(prospect.pays):
            return
        self._tell_of_compiling(
            f"Compiling the step, which takes about {prospect.takes:.0f} s and makes all that are left about "
            f"{prospect.saves:.0f} s shorter. train.compile = false leaves it out."
        )
        self.step.compile()

    def _tell_of_compiling(self, message: str) -> None:
        self.under_way = "compiling"
        self.record.event("compiling", "info", message, step=self.steps_done, notice=True)

    def _tell_of_slower_steps(self) -> None:
        if self.step.not_replayed:
            message = f"Steps are launched kernel by kernel, which is slower: {self.step.not_replayed}."
            self.record.event("not_replayed", "info", message, step=self.steps_done)
        if self.step.not_compiled:
            message = f"Steps are not compiled, which is slower: {self.step.not_compiled}."
            self.record.event("not_compiled", "info", message, step=self.steps_done, notice=True)
        self.step.not_replayed = self.step.not_compiled = ""

    def _tell_of_skipped(self, num_steps: float) -> None:
        """A step that was skipped has changed nothing. Where fp16 looks for its loss scale that is no fault."""
        if self.step.loss_scale.enabled:
            severity: Severity = "info"
            kept = None
            what = f"an fp16 overflow; the loss scale is now {float(self.step.loss_scale.scale):g}"
        else:
            severity, what = "warning", "a loss or gradient was not finite"
            kept = keep_skipped(self.step, self.keeper)
        plural = "" if round(num_steps) == 1 else "s"
        message = f"Skipped {num_steps:.0f} step{plural} since the last row: {what}."
        evidence = {"batch": kept} if kept else {}
        self.record.event("skipped", severity, message, step=self.steps_done, evidence=evidence)

    def _non_finite(self) -> Ending:
        """Name the cause, and count no step that changed nothing; the last checkpoint stays the newest."""
        bad_step = self._bad_step()
        cause = cause_on_ranks(self.step, bad_step, self.keeper)
        self.steps_done = bad_step
        reason = f"{self.step.vote.refused(bad_step)}: {cause.what}"
        message = f"S{reason[1:]}. Nothing has changed from then on."
        evidence = {"step": bad_step + 1, **cause.evidence}
        self.record.event("non-finite", "critical", message, step=bad_step + 1, evidence=evidence, advice=cause.advice)
        return Ending.non_finite(bad_step, reason)

    def save(self, *, final: bool = False, prune: bool = True) -> None:
        """Begin to write a checkpoint, and to delete those no longer wanted then. The last one is waited for.

        Rank 0 writes it for all.

        Raises:
            CheckpointError: the last one could not be written, or too many in a row; of any other that is an event.
        """
        best = int(self.best["step"]) if "step" in self.best else None
        self.under_way = "ending" if final else "step"
        with self._apart_from_steps():
            states = self.state.read() if self.step.shards is None else whole_tree(self.state.read())
            if self.crew.leads:
                write = self.saving.write_last if final else self.saving.begin
                write(self.steps_done, states, self.checkpoints, best=best, prune=prune)

    def settle(self) -> None:
        """Wait for a checkpoint that is being written, and tell of it: to be called before the folder is read."""
        with self._apart_from_steps():
            self.saving.settle()

    @contextmanager
    def _apart_from_steps(self) -> Iterator[None]:
        """Steps did not take the time that is spent within it."""
        started = time.perf_counter()
        yield
        self._row_started += time.perf_counter() - started
