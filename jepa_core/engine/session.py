"""One run from recipe to verdict: data, run directory, training, and how it is concluded. Shows nothing by itself."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TextIO

import attrs

from jepa_core.contracts import GridDataset
from jepa_core.engine.checkpoint import Checkpoint, CheckpointFolder
from jepa_core.engine.device import Compute, choose_compute, set_numerics
from jepa_core.engine.ending import Ending
from jepa_core.engine.interruption import Interruption, StoppedBeforeTraining
from jepa_core.engine.provenance import check_same_data, write_provenance
from jepa_core.engine.recording import Audience, RunRecord
from jepa_core.engine.trainer import Trainer
from jepa_core.errors import CheckpointError
from jepa_core.facts import DatasetFacts
from jepa_core.observing.dispatch import Observers
from jepa_core.recipe.declared_metrics import declared_metrics
from jepa_core.recipe.reading import LoadedRecipe
from jepa_core.run_directory.baseline_runs import ResolvedBaseline, resolve_baseline
from jepa_core.run_directory.layout import CHECKPOINTS, RECIPE, VERDICT
from jepa_core.run_directory.naming import create_run
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.findings import Severity
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.verdict import BestCheckpoint, Verdict, verdict_to_json


class Screen(Audience, AbstractContextManager["Screen"], Protocol):
    """What a session opens while it trains."""


@attrs.frozen(kw_only=True)
class Opening:
    """What is known when training begins, for the run's first lines."""

    loaded: LoadedRecipe
    dataset: GridDataset
    compute: Compute
    path: Path
    num_parameters: int
    total_steps: int
    resumed_at: int | None
    notes: tuple[str, ...]
    console_log: TextIO


@attrs.frozen(kw_only=True)
class Conclusion:
    """How a session ended."""

    path: Path
    ending: Ending
    verdict: Verdict | None
    """None after an interruption: nothing was decided yet."""
    exit_code: int


OpenScreen = Callable[[Opening], Screen]


def train_recipe(
    loaded: LoadedRecipe, *, device: str, runs_dir: Path, resume: Path | None, open_screen: OpenScreen
) -> Conclusion:
    """Train, and conclude with a verdict.

    `resume` is a run directory to continue; `loaded` is then its own recipe. A run directory is made before data is
    loaded, so that a disk which refuses is found at once, and removed again when training never begins.

    Raises:
        JepaError: before training begins, for what is wrong with device, data, checkpoint or directory.
        StoppedBeforeTraining: by a signal.
    """
    recipe = loaded.recipe
    compute = choose_compute(device, recipe.train.precision)
    set_numerics(deterministic=recipe.train.deterministic, tf32=recipe.train.tf32)
    resumption = _Resumption.of(resume) if resume else None
    resume_at = resumption.checkpoint.step if resumption else None
    path = resume or create_run(runs_dir, recipe.name)
    with (
        Interruption() as interruption,
        _removed_unless_begun(path),
        RunWriter(path, resume_at=resume_at, recipe=recipe.name, total_epochs=recipe.train.epochs) as writer,
        Observers() as observers,
        _failure_recorded(writer),
    ):
        observers.build(recipe.observers.values(), path, resume_at)
        dataset = recipe.data.build(DatasetFacts(seed=recipe.train.seed))
        baseline = resolve_baseline(recipe.watch.baseline, runs_dir, dataset.fingerprint)
        session = _Session(loaded, dataset, compute, writer, baseline, observers=observers)
        return session.run(resumption, interruption, open_screen)


@contextmanager
def _removed_unless_begun(path: Path) -> Iterator[None]:
    """Remove the run directory after a failure before its recipe was written: nobody could read or resume it."""
    try:
        yield
    except BaseException:
        if not (path / RECIPE).exists():
            shutil.rmtree(path, ignore_errors=True)
        raise


@contextmanager
def _failure_recorded(writer: RunWriter) -> Iterator[None]:
    """Say in events and status what ended the run, and let it pass."""
    try:
        yield
    except StoppedBeforeTraining as stop:
        writer.status.update(state="interrupted", exit_code=stop.code)
        raise
    except BaseException as error:
        last_line = traceback.format_exception_only(error)[-1].strip()
        writer.event("failed", "critical", last_line, evidence={"traceback": traceback.format_exc()})
        writer.status.update(state="failed", exit_code=getattr(error, "exit_code", 1))
        raise


@attrs.frozen(kw_only=True)
class _Resumption:
    """Where to go on from."""

    checkpoint: Checkpoint
    damaged: tuple[str, ...]
    """Newer checkpoints that cannot be used, and why."""

    @staticmethod
    def of(run: Path) -> _Resumption:
        """From the newest checkpoint that verifies."""
        checkpoint, faults = CheckpointFolder(run / CHECKPOINTS, keep=2).newest()
        if checkpoint is None:
            found = "\n".join(f"  {fault}" for fault in faults) or "  there is none"
            raise CheckpointError(
                f"{run} cannot be resumed: no checkpoint in it can be used.\n{found}\nStart a new run."
            )
        return _Resumption(checkpoint=checkpoint, damaged=tuple(faults))


class _Session:
    """An open run directory with everything that its training needs."""

    def __init__(
        self,
        loaded: LoadedRecipe,
        dataset: GridDataset,
        compute: Compute,
        writer: RunWriter,
        baseline: ResolvedBaseline,
        *,
        observers: Observers,
    ) -> None:
        self.loaded = loaded
        self.dataset = dataset
        self.compute = compute
        self.writer = writer
        self.baseline = baseline
        self.observers = observers
        self.judge = Judge(loaded.recipe.watch, declared_metrics(loaded.recipe), baseline.values)
        self.record = RunRecord(writer, self.judge, observers)
        self.checkpoints = CheckpointFolder(writer.path / CHECKPOINTS, loaded.recipe.checkpoint.keep)

    def run(self, resumption: _Resumption | None, interruption: Interruption, open_screen: OpenScreen) -> Conclusion:
        """Train from the start or from a checkpoint, and conclude."""
        trainer = Trainer(self.loaded.recipe, self.dataset, self.compute, self.checkpoints, self.record)
        if resumption is not None:
            self._restore(trainer, resumption.checkpoint)
        interruption.wait_for_steps()
        if resumption is None:
            write_provenance(self.writer, self.loaded, self.dataset, self.compute, self.baseline)
        self.observers.start(self.loaded.table)
        with open_screen(self._opening(trainer, resumption)) as screen:
            self.record.audience = screen
            self._note_beginning(trainer, resumption)
            ending = trainer.train(interruption)
        return self._conclude(trainer, ending)

    def _restore(self, trainer: Trainer, checkpoint: Checkpoint) -> None:
        run = RunReader(self.writer.path)
        check_same_data(run, self.dataset)
        trainer.resume(checkpoint)
        self.record.replay(run.rows())
        # What was decided when it stopped holds no longer.
        (self.writer.path / VERDICT).unlink(missing_ok=True)

    def _note_beginning(self, trainer: Trainer, resumption: _Resumption | None) -> None:
        step, total, where = trainer.steps_done, trainer.calendar.run_steps, self.compute.describe()
        epoch = trainer.calendar.epoch(step)
        self.writer.status.update(state="running", total_steps=total, step=step, epoch=epoch, exit_code=None)
        if resumption is None:
            self.record.event("started", "info", f"Training starts: {total} steps on {where}.", step=step)
            return
        self.record.event("resumed", "info", f"Training goes on after step {step} of {total}, on {where}.", step=step)
        for fault in resumption.damaged:
            self.record.event("checkpoint damaged", "warning", f"A newer checkpoint was not used: {fault}.", step=step)

    def _opening(self, trainer: Trainer, resumption: _Resumption | None) -> Opening:
        return Opening(
            loaded=self.loaded,
            dataset=self.dataset,
            compute=self.compute,
            path=self.writer.path,
            num_parameters=sum(parameter.numel() for parameter in trainer.step.parameters.values()),
            total_steps=trainer.calendar.run_steps,
            resumed_at=resumption.checkpoint.step if resumption else None,
            notes=(
                *self.loaded.notes,
                *self.dataset.notes,
                *([self.baseline.reason] if self.loaded.recipe.watch.baseline else []),
            ),
            console_log=self.writer.console_log,
        )

    def _conclude(self, trainer: Trainer, ending: Ending) -> Conclusion:
        """Judge the run, and write down how it ended."""
        writer, step = self.writer, ending.step
        epoch = trainer.calendar.epoch(step)
        verdict = None if ending.state == "interrupted" else self._verdict(trainer, ending)
        exit_code = ending.exit_code if verdict is None else verdict.exit_code
        if verdict is not None:
            writer.write_verdict(verdict)
        severity: Severity = "info" if ending.state == "finished" else "warning"
        writer.event(ending.state, severity, ending.reason, step=step, epoch=epoch, evidence={"exit_code": exit_code})
        writer.status.update(state=ending.state, step=step, epoch=epoch, exit_code=exit_code)
        for notice in self.observers.finish(None if verdict is None else verdict_to_json(verdict)):
            self.record.observer_notice(notice, step)
        return Conclusion(path=writer.path, ending=ending, verdict=verdict, exit_code=exit_code)

    def _verdict(self, trainer: Trainer, ending: Ending) -> Verdict:
        assert ending.kind != "interrupted"
        return reach_verdict(
            self.judge,
            run=self.writer.path,
            ending=ending.kind,
            cause="" if ending.state == "finished" else ending.reason,
            no_baseline_because=self.baseline.reason,
            best=self._best(trainer),
            warnings=self.record.warnings,
        )

    def _best(self, trainer: Trainer) -> BestCheckpoint | None:
        """The checkpoint with the highest retrieval, if it was kept."""
        kept = {checkpoint.step: checkpoint for checkpoint in self.checkpoints.all()}
        step = int(trainer.best.get("step", -1))
        if step not in kept:
            return None
        path = kept[step].path.relative_to(self.writer.path)
        return BestCheckpoint(step=step, epoch=trainer.best["epoch"], why="highest retrieval", path=str(path))
