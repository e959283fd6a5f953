"""One run from recipe to verdict: data, run directory, training, and how it is concluded. Shows nothing by itself."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from jepa_core.contracts import Crew, SequenceDataset
from jepa_core.engine.affordable import trainable_dataset
from jepa_core.engine.component_faults import component_faults_told
from jepa_core.engine.course import changed_course
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.dataset import reading_stage
from jepa_core.engine.device import Compute, choose_compute, set_numerics, warming_up
from jepa_core.engine.ending import Ending, directory_lost
from jepa_core.engine.fitting_state import StartedAnew
from jepa_core.engine.following import follow, lost_rank_rows, rank_rows, restored, set_aside
from jepa_core.engine.interruption import Interruption, ended_at_once, stopping
from jepa_core.engine.nulls import ChosenNulls
from jepa_core.engine.opening import Conclusion, Opening, OpenScreen
from jepa_core.engine.parallel import device_of_rank, joined_crew, losses_told, require_equal_shares
from jepa_core.engine.provenance import kept_provenance, write_provenance
from jepa_core.engine.recording import RecordedCheckpoints, RunRecord
from jepa_core.engine.run_state import try_child
from jepa_core.engine.starting import LostRows, Resumption, awaited_run, failure_recorded, led_off, removed_unless_begun
from jepa_core.engine.trainer import Trainer
from jepa_core.errors import CheckpointError
from jepa_core.launching import note_run
from jepa_core.observing.dispatch import Observers
from jepa_core.recipes.declared_metrics import declared_metrics
from jepa_core.recipes.reading import LoadedRecipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import Registry, installed
from jepa_core.rollback.going_on import going_on
from jepa_core.rollback.lineage import read_lineage
from jepa_core.rollback.orders import RollbackOrders
from jepa_core.rollback.successor import refuse_marked
from jepa_core.run_directory.baseline_runs import ResolvedBaseline, resolve_baseline
from jepa_core.run_directory.layout import rank_metrics
from jepa_core.run_directory.lock import DirectoryLostError
from jepa_core.run_directory.naming import beside, placed, typed_name
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.findings import Finding, Severity
from jepa_core.watch.judge import Judge
from jepa_core.watch.nulls import RankedNulls
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.verdict import Verdict, verdict_to_json

OpeningAudit = Callable[[Recipe, SequenceDataset, Compute, RankedNulls], tuple[Finding, ...]]
"""Looks at a recipe and its data before a run's first step, and leaves nothing behind that the run could notice."""


def train_recipe(
    loaded: LoadedRecipe,
    *,
    device: str,
    runs_dir: Path,
    resume: Path | None,
    open_screen: OpenScreen,
    audit: OpeningAudit | None = None,
    tell_stage: Callable[[str], None] = lambda _: None,
    auto_rollback: bool = False,
    registry: Registry | None = None,
    owns_process: bool = True,
) -> Conclusion:
    """Train, and conclude with a verdict.

    A run directory is made before data is loaded, with the recipe in it: a disk which refuses is found at once, and a
    run that is killed meanwhile can be begun anew. It is removed again when training never begins.

    Args:
        loaded: the recipe; of a run that is continued its own.
        device: auto, cpu, cuda or cuda:N.
        runs_dir: where a new run directory is made.
        resume: a run directory to continue.
        open_screen: is called once training begins.
        audit: what a new run begins with, such as `jepa_core.audit.opening_audit`.
        tell_stage: is told what goes on until training begins, such as "reading data".
        auto_rollback: a rollback rule that fires takes the run back, as often as `watch.max_rollbacks` allows.
        registry: where the components of a changed recipe come from; those installed when not given.
        owns_process: a second stop signal may end it.

    Raises:
        JepaError: before training begins, for what is wrong with device, data, checkpoint or directory.
        StoppedBeforeTraining: by a signal.
    """
    recipe, registry = loaded.recipe, registry or installed()
    compute = choose_compute(device_of_rank(device), recipe.train.precision)
    set_numerics(deterministic=recipe.train.deterministic, tf32=recipe.train.tf32)
    crew = joined_crew(compute.device)
    require_equal_shares(recipe.train, crew)
    if not crew.leads:
        return _followed(loaded, compute, crew, registry)
    path, resumption = led_off(crew, resume, runs_dir, recipe)
    return _led(
        loaded, compute, crew, path, resumption, open_screen=open_screen, audit=audit, tell_stage=tell_stage,
        auto_rollback=auto_rollback, registry=registry, owns_process=owns_process,
    )  # fmt: skip


def _followed(loaded: LoadedRecipe, compute: Compute, crew: Crew, registry: Registry) -> Conclusion:
    """What another rank than 0 does."""
    run, resumes = awaited_run(crew)
    with component_faults_told(loaded.recipe, registry, run, crew.rank), losses_told(crew, typed_name(run)):
        ending = follow(loaded.recipe, compute, crew, run, resumes=resumes)
        end = crew.told()
    child = Path(end["child"]) if end["child"] else None
    return Conclusion(path=run, ending=ending, verdict=None, exit_code=end["exit_code"], child=child, leads=False)


def _led(
    loaded: LoadedRecipe,
    compute: Compute,
    crew: Crew,
    path: Path,
    resumption: Resumption | None,
    *,
    open_screen: OpenScreen,
    audit: OpeningAudit | None,
    tell_stage: Callable[[str], None],
    auto_rollback: bool,
    registry: Registry,
    owns_process: bool,
) -> Conclusion:
    """What rank 0 does, and a process of its own."""
    recipe = loaded.recipe
    resume_at = resumption.step if resumption else None
    with (
        Interruption(owns_process=owns_process, heeds_repeats=crew.size == 1) as interruption,
        removed_unless_begun(path, resumes=resumption is not None) as begin,
        RunWriter(
            path,
            resume_at=resume_at,
            once_held=partial(refuse_marked, path),
            recipe=recipe.name,
            total_epochs=recipe.train.epochs,
        ) as writer,
        Observers() as observers,
        failure_recorded(writer),
        component_faults_told(recipe, registry, path, rank=0 if crew.size > 1 else None),
        losses_told(crew, typed_name(path)),
    ):
        describe = partial(write_provenance, writer, loaded, compute, num_ranks=crew.size)
        if resumption is None:
            describe()
        observers.build(recipe.observers.values(), path, resume_at)
        tell_stage(reading_stage(recipe))
        with warming_up(compute.device):
            dataset = trainable_dataset(recipe, compute)
        baseline = resolve_baseline(recipe.watch.baseline, beside(path), dataset.fingerprint, own=placed(path).name)
        session = _Session(
            loaded, dataset, compute, writer, crew, baseline=baseline, registry=registry, observers=observers,
            auto_rollback=auto_rollback, describe=partial(describe, dataset=dataset, baseline=baseline.baseline),
        )  # fmt: skip
        if resume_at is not None:
            set_aside(path, crew, resume_at=resume_at)
        if crew.size > 1:
            session.record.rank_rows = writer.beside(rank_rows(path, crew, resume_at=resume_at))
        try:
            conclusion = session.run(
                resumption, interruption, open_screen, tell_stage, begin, audit=None if resumption else audit
            )
        except DirectoryLostError as error:
            crew.told({"exit_code": error.exit_code, "child": ""})
            raise
        crew.told({"exit_code": conclusion.exit_code, "child": str(conclusion.child or "")})
        return conclusion


class _Session:
    """An open run directory with everything that its training needs."""

    def __init__(
        self,
        loaded: LoadedRecipe,
        dataset: SequenceDataset,
        compute: Compute,
        writer: RunWriter,
        crew: Crew,
        *,
        baseline: ResolvedBaseline,
        registry: Registry,
        observers: Observers,
        auto_rollback: bool,
        describe: Callable[..., None],
    ) -> None:
        self.loaded = loaded
        self.dataset = dataset
        self.compute = compute
        self.writer = writer
        self.crew = crew
        self.baseline = baseline
        self.registry = registry
        self.observers = observers
        recipe = loaded.recipe
        self.judge = Judge(recipe.watch, declared_metrics(recipe), baseline.values, recipe.train.epochs)
        self.record = RunRecord(writer, self.judge, observers)
        at_most = recipe.watch.max_rollbacks if auto_rollback else None
        self.orders = RollbackOrders(
            writer.path, lambda: registry, self.record.event, at_most=at_most,
            try_child=partial(try_child, shape=DataShape.of(dataset)),
        )  # fmt: skip
        self.record.orders = self.orders
        self.checkpoints = RecordedCheckpoints(writer, recipe)
        self._describe = describe
        self.lost_rows: LostRows | None = None  # of a run that goes on
        self.lost_rank_rows: dict[int, tuple[int, int]] = {}
        self.moved = ""
        self._not_saved = ""  # why a run whose directory is lost has no last checkpoint

    def run(
        self,
        resumption: Resumption | None,
        interruption: Interruption,
        open_screen: OpenScreen,
        tell_stage: Callable[[str], None],
        begin: Callable[[], None],
        *,
        audit: OpeningAudit | None,
    ) -> Conclusion:
        """Train from the start or from a checkpoint, and conclude. `begin` is called once there is a run to keep."""
        if resumption is None:
            # Before a component is used: of a run that one of them ends it is known what it was, too.
            self._describe()
        tell_stage("building the model")
        trainer = Trainer(self.loaded.recipe, self.dataset, self.compute, self.checkpoints, self.record, crew=self.crew)
        self.orders.settle = trainer.settle
        kept = None
        if resumption is not None:
            # Before the nulls are ranked: on other data they reach other figures, which is not what is wrong.
            kept = kept_provenance(self.writer, self.loaded, self.dataset)
            self.moved = kept.moved
        tell_stage("ranking nulls")
        nulls = trainer.rank_nulls(ChosenNulls.of(self.loaded.recipe, self.registry), kept.nulls if kept else None)
        if resumption:
            tell_stage("reading the checkpoint")
        anew = self._restore(trainer, resumption) if resumption else ()
        if audit:
            tell_stage("auditing")
        audited = audit(self.loaded.recipe, self.dataset, self.compute, nulls) if audit else ()
        interruption.wait_for_steps()
        if resumption is None:
            self._describe(nulls=nulls)
            note_run(self.writer.path)
        begin()
        self.observers.start(self.loaded.table)
        with open_screen(self._opening(trainer, resumption, anew, audited)) as screen:
            self.record.audience = screen
            self._note_beginning(trainer, resumption, anew)
            self.record.audited(audited)
            interruption.last_words = lambda: f"\n{ended_at_once(trainer.under_way)} {going_on(self.writer.path)}\n"
            self.crew.meet()
            self.writer.watch(map(rank_metrics, range(1, self.crew.size)))
            with interruption.acknowledged(lambda: screen.event("warning", stopping(trainer.under_way), "")):
                ending = self._train(trainer, interruption)
            if ending.kind == "rolled back":
                return self._conclude_rolled_back(trainer, ending)
        return self._conclude(trainer, ending)

    def _train(self, trainer: Trainer, interruption: Interruption) -> Ending:
        """Train until the end; or until the directory is lost, which ends it as a signal does: at one step on all
        ranks, with a checkpoint."""
        self.record.stop = partial(setattr, interruption, "stop_signal", signal.SIGTERM)
        try:
            ending = trainer.train(interruption)
            trainer.saving.tidy(self.checkpoints, trainer.best)
            return ending
        except CheckpointError as error:
            if self.writer.loss is None:
                raise
            self._not_saved = str(error)
            return Ending.interrupted(trainer.steps_done, signal.SIGTERM)

    def _restore(self, trainer: Trainer, resumption: Resumption) -> tuple[StartedAnew, ...]:
        """Bring everything to where it was; what starts anew because a changed recipe has no place for it."""
        run = RunReader(self.writer.path)
        anew: tuple[StartedAnew, ...] = restored(trainer, resumption)
        self.record.recall(run.events())
        steps, meters = self.record.replay(run.rows()), trainer.step.meters
        self.lost_rows = LostRows.of(meters.rows, steps, trainer.steps_done, trainer.calendar)
        meters.rows = len(steps)
        self.lost_rank_rows = lost_rank_rows(run.path, self.crew, meters, trainer.steps_done)
        self.writer.drop_verdict()
        return anew

    def _note_beginning(self, trainer: Trainer, resumption: Resumption | None, anew: tuple[StartedAnew, ...]) -> None:
        step, total, where = trainer.steps_done, trainer.calendar.run_steps, self.compute.describe(self.crew.size)
        epoch = trainer.calendar.epoch(step)
        self.writer.status.update(state="running", total_steps=total, step=step, epoch=epoch, exit_code=None)
        if resumption and resumption.lineage and resumption.inherits:
            self.record.taken_over(resumption.lineage, tuple(part.describe() for part in anew), step)
        if resumption is None or resumption.checkpoint is None:
            self.record.event("started", "info", f"Training starts: {total} steps on {where}.", step=step)
            return
        self.record.event("resumed", "info", f"Training goes on after step {step} of {total}, on {where}.", step=step)
        if trainer.course_before is not None:
            told = changed_course(trainer.course_before, trainer.step.course, self.loaded.recipe.schedule)
            self.record.event("course changed", "info", told, step=step, notice=True)
        self.record.tell_of_losses(self.lost_rows, self.lost_rank_rows, self.writer.lost_events, step)
        for fault in resumption.damaged:
            self.record.event("checkpoint damaged", "warning", f"A newer checkpoint was not used: {fault}.", step=step)

    def _opening(
        self,
        trainer: Trainer,
        resumption: Resumption | None,
        anew: tuple[StartedAnew, ...],
        audited: tuple[Finding, ...],
    ) -> Opening:
        lineage = resumption.lineage if resumption else None
        return Opening(
            loaded=self.loaded,
            dataset=self.dataset,
            compute=self.compute,
            path=self.writer.path,
            num_parameters=sum(parameter.numel() for parameter in trainer.step.parameters.values()),
            total_steps=trainer.calendar.run_steps,
            num_ranks=self.crew.size,
            end_epoch=trainer.calendar.epoch(trainer.calendar.run_steps),
            resumed_at=(resumption.step or None) if resumption else None,
            notes=(
                *((f"rolled back {lineage.story[-1].describe()}", *lineage.notes) if lineage else ()),
                *(part.describe() for part in anew),
                *filter(None, [trainer.step.course.left_over(), self.moved]),
                *self.loaded.notes,
                *self.dataset.notes,
                *([self.baseline.reason] if self.loaded.recipe.watch.baseline else []),
            ),
            audit=audited,
            nulls=trainer.validation.nulls.ranked,
            console_log=self.writer.console_log,
        )

    def _conclude_rolled_back(self, trainer: Trainer, ending: Ending) -> Conclusion:
        """Hand over to a child; the run gets no verdict of its own."""
        writer = self.writer
        writer.status.update(step=ending.step, epoch=trainer.calendar.epoch(ending.step), exit_code=ending.exit_code)
        child = self.orders.carry_out(writer)
        self.record.handed_over(ending.reason, child.path)
        self.observers.finish(None)
        return Conclusion(path=writer.path, ending=ending, verdict=None, exit_code=0, child=child.path)

    def _conclude(self, trainer: Trainer, ending: Ending) -> Conclusion:
        """Judge the run, and write down how it ended."""
        with trainer.step.whole(), self.crew.alone():
            return self._concluded(trainer, ending)

    def _concluded(self, trainer: Trainer, ending: Ending) -> Conclusion:
        writer, step = self.writer, ending.step
        if (loss := writer.look()) is not None:
            raise directory_lost(loss, step, is_saved=trainer.saving.saved_at == step, fault=self._not_saved)
        writer.look_for_files()
        epoch = trainer.calendar.epoch(step)
        verdict = None if ending.state == "interrupted" else self._verdict(trainer, ending)
        exit_code = ending.exit_code if verdict is None else verdict.exit_code
        if verdict is not None:
            writer.write_verdict(verdict)
            self.orders.refuse_waiting(step, f"the run has come to its end: it is {ending.state}")
        severity: Severity = "info" if ending.state == "finished" else "warning"
        writer.event(ending.state, severity, ending.reason, step=step, epoch=epoch, evidence={"exit_code": exit_code})
        writer.status.update(state=ending.state, step=step, epoch=epoch, exit_code=exit_code)
        for notice in self.observers.finish(None if verdict is None else verdict_to_json(verdict)):
            self.record.observer_notice(notice, step)
        return Conclusion(path=writer.path, ending=ending, verdict=verdict, exit_code=exit_code)

    def _verdict(self, trainer: Trainer, ending: Ending) -> Verdict:
        assert ending.kind != "interrupted"
        assert ending.kind != "rolled back"
        lineage = read_lineage(self.writer.path)
        return reach_verdict(
            self.judge,
            run=self.writer.path,
            typed=typed_name(self.writer.path),
            plugin_flags=plugin_flags(
                self.writer.path, *([Path(values.path)] if (values := self.baseline.values) and values.path else [])
            ),
            ending=ending.kind,
            cause="" if ending.state == "finished" else ending.reason,
            no_baseline_because=self.baseline.reason,
            best=self.checkpoints.best(),
            findings=self.record.findings.all(),
            story=lineage.story if lineage else (),
            nulls=trainer.validation.nulls.ranked,
            null_only=self._null_only(trainer, ending),
            not_paired=trainer.validation.nulls.not_paired,
            next_command=self.orders.next_command(self.judge.decision, ending.kind),
            remedy_of=self.orders.remedy,
        )

    def _null_only(self, trainer: Trainer, ending: Ending) -> list[str]:
        """Names of the tasks whose targets the strongest null alone ranks first."""
        if trainer.validation.null_only is None and ending.state == "finished":
            # All steps had been done before: the newest checkpoint is what the last validation saw.
            trainer.validation(trainer.step.objective, trainer.step.views)
        tasks = trainer.validation.null_only
        return [] if tasks is None else [self.dataset.task_names[task] for task in tasks.tolist()]
