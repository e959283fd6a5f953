"""One run from recipe to verdict: data, run directory, training, and how it is concluded. Shows nothing by itself."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import attrs

from jepa_core.contracts import GridDataset
from jepa_core.engine.checkpoint import Checkpoint, CheckpointFolder
from jepa_core.engine.device import Compute, choose_compute, device_name, processor_model, set_numerics
from jepa_core.engine.interruption import Interruption
from jepa_core.engine.recording import Audience, RunRecord
from jepa_core.engine.trainer import Ending, Trainer
from jepa_core.errors import CheckpointError
from jepa_core.facts import DatasetFacts
from jepa_core.recipe.declared_metrics import declared_metrics
from jepa_core.recipe.reading import LoadedRecipe
from jepa_core.recipe.writing import recipe_to_toml
from jepa_core.run_directory.baseline_runs import ResolvedBaseline, resolve_baseline
from jepa_core.run_directory.environment import describe_environment
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.naming import create_run
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.verdict import BestCheckpoint, Verdict


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
    console_log: Any


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

    `resume` is a run directory to continue; `loaded` is then its own recipe.

    Raises:
        JepaError: before training begins, for what is wrong with device, data, checkpoint or directory.
    """
    recipe = loaded.recipe
    compute = choose_compute(device, recipe.train.precision)
    set_numerics(deterministic=recipe.train.deterministic, tf32=recipe.train.tf32)
    checkpoint = _newest_checkpoint(resume) if resume else None
    dataset = recipe.data.build(DatasetFacts(seed=recipe.train.seed))
    baseline = resolve_baseline(recipe.watch.baseline, runs_dir, dataset.fingerprint)
    path = resume or create_run(runs_dir, recipe.name)
    judge = Judge(recipe.watch, declared_metrics(recipe), baseline.values)
    resume_at = checkpoint.step if checkpoint else None
    with RunWriter(path, resume_at=resume_at, recipe=recipe.name, total_epochs=recipe.train.epochs) as writer:
        try:
            return _Session(loaded, dataset, compute, writer, judge, baseline).run(checkpoint, open_screen)
        except BaseException as error:
            last_line = traceback.format_exception_only(error)[-1].strip()
            writer.event("failed", "critical", last_line, evidence={"traceback": traceback.format_exc()})
            writer.status.update(state="failed", exit_code=getattr(error, "exit_code", 1))
            raise


def _newest_checkpoint(run: Path) -> Checkpoint:
    checkpoint, faults = CheckpointFolder(run / CHECKPOINTS, keep=2).newest()
    if checkpoint is None:
        found = "\n".join(f"  {fault}" for fault in faults) or "  there is none"
        raise CheckpointError(f"{run} cannot be resumed: no checkpoint in it can be used.\n{found}\nStart a new run.")
    return checkpoint


class _Session:
    """An open run directory with everything that its training needs."""

    def __init__(
        self,
        loaded: LoadedRecipe,
        dataset: GridDataset,
        compute: Compute,
        writer: RunWriter,
        judge: Judge,
        baseline: ResolvedBaseline,
    ) -> None:
        self.loaded = loaded
        self.dataset = dataset
        self.compute = compute
        self.writer = writer
        self.judge = judge
        self.baseline = baseline
        self.checkpoints = CheckpointFolder(writer.path / CHECKPOINTS, loaded.recipe.checkpoint.keep)

    def run(self, checkpoint: Checkpoint | None, open_screen: OpenScreen) -> Conclusion:
        """Train from the start or from a checkpoint, and conclude."""
        if checkpoint is None:
            self._write_what_it_is()
        else:
            self._replay_rows()
        relay = _Relay()
        record = RunRecord(self.writer, self.judge, relay)
        trainer = Trainer(self.loaded.recipe, self.dataset, self.compute, self.checkpoints, record)
        if checkpoint is not None:
            trainer.resume(checkpoint)
        opening = self._opening(trainer, checkpoint)
        self.writer.status.update(state="running", total_steps=opening.total_steps, step=trainer.steps_done)
        name, step = ("resumed" if checkpoint else "started"), trainer.steps_done
        self.writer.event(name, "info", f"{name} at step {step}, {self.compute.describe()}", step=step)
        with Interruption() as interruption, open_screen(opening) as screen:
            relay.screen = screen
            ending = trainer.train(interruption)
        return self._conclude(trainer, ending, record)

    def _write_what_it_is(self) -> None:
        """The resolved recipe with all metric declarations and the baseline found, and the environment."""
        recipe = self.loaded.recipe
        table = dict(self.loaded.table)
        if self.baseline.baseline is not None:
            table["watch"] = {**table["watch"], "baseline": _without_empty(attrs.asdict(self.baseline.baseline))}
        table["metrics"] = [_without_none(attrs.asdict(metric)) for metric in declared_metrics(recipe)]
        self.writer.write_recipe(recipe_to_toml(table))
        self.writer.write_environment(
            describe_environment(
                sys.argv,
                device=device_name(self.compute.device),
                processor=processor_model(),
                precision=self.compute.precision,
                data=self.dataset.description,
                data_fingerprint=self.dataset.fingerprint,
            )
        )

    def _replay_rows(self) -> None:
        """Let the judge see what was recorded before; what fired then has been told."""
        for row in RunReader(self.writer.path).rows():
            self.judge.observe(row)

    def _opening(self, trainer: Trainer, checkpoint: Checkpoint | None) -> Opening:
        return Opening(
            loaded=self.loaded,
            dataset=self.dataset,
            compute=self.compute,
            path=self.writer.path,
            num_parameters=sum(parameter.numel() for parameter in trainer.step.parameters.values()),
            total_steps=trainer.calendar.run_steps,
            resumed_at=checkpoint.step if checkpoint else None,
            notes=(*self.dataset.notes, *([self.baseline.reason] if self.loaded.recipe.watch.baseline else [])),
            console_log=self.writer.console_log,
        )

    def _conclude(self, trainer: Trainer, ending: Ending, record: RunRecord) -> Conclusion:
        """Judge the run, and write down how it ended."""
        writer, step = self.writer, ending.step
        epoch = trainer.calendar.epoch(step)
        verdict = None if ending.state == "interrupted" else self._verdict(trainer, ending, record)
        exit_code = ending.exit_code if verdict is None else verdict.exit_code
        if verdict is not None:
            writer.write_verdict(verdict)
        severity = "info" if ending.state == "finished" else "warning"
        writer.event(ending.state, severity, ending.reason, step=step, epoch=epoch, evidence={"exit_code": exit_code})
        writer.status.update(state=ending.state, step=step, epoch=epoch, exit_code=exit_code)
        return Conclusion(path=writer.path, ending=ending, verdict=verdict, exit_code=exit_code)

    def _verdict(self, trainer: Trainer, ending: Ending, record: RunRecord) -> Verdict:
        return reach_verdict(
            self.judge,
            run=self.writer.path,
            ending=ending.kind,
            cause="" if ending.state == "finished" else ending.reason,
            no_baseline_because=self.baseline.reason,
            best=self._best(trainer),
            warnings=record.warnings,
        )

    def _best(self, trainer: Trainer) -> BestCheckpoint | None:
        """The checkpoint with the highest retrieval, if it was kept."""
        kept = {checkpoint.step: checkpoint for checkpoint in self.checkpoints.all()}
        step = int(trainer.best.get("step", -1))
        if step not in kept:
            return None
        path = kept[step].path.relative_to(self.writer.path)
        return BestCheckpoint(step=step, epoch=trainer.best["epoch"], why="highest retrieval", path=str(path))


class _Relay:
    """Passes on to the screen once that is open: the trainer is built before the screen knows its length."""

    screen: Screen | None = None

    def progress(self, step: int, epoch: float) -> None:
        if self.screen:
            self.screen.progress(step, epoch)

    def row(self, row: Any) -> None:
        if self.screen:
            self.screen.row(row)

    def event(self, severity: Any, message: str, advice: str) -> None:
        if self.screen:
            self.screen.event(severity, message, advice)


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}


def _without_empty(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value}
