"""What a run leaves: rows and events to the run directory, to the judge of its rules, and to whoever watches; and
checkpoints that stand on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import attrs

from jepa_core.disk_errors import remedy
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.engine.starting import LostRows
from jepa_core.engine.stored_model import why_no_model
from jepa_core.errors import CheckpointError
from jepa_core.observing.dispatch import Notice, Observers
from jepa_core.recipes.tables import Recipe
from jepa_core.rollback.lineage import Lineage, read_lineage
from jepa_core.rollback.orders import RollbackOrders
from jepa_core.run_directory.bad_batches import BadBatch, write_bad_batch
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.layout import CHECKPOINTS, DIAGNOSTICS
from jepa_core.run_directory.line_appender import LineAppender
from jepa_core.run_directory.reading import RecordedRows, RunReader
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.best_checkpoint import best_checkpoint
from jepa_core.watch.decision import Decision
from jepa_core.watch.findings import Finding, Firing, Severity
from jepa_core.watch.judge import Judge
from jepa_core.watch.run_findings import RunFindings, finding_of
from jepa_core.watch.verdict import BestCheckpoint

DIAGNOSED = "target.distance"
"""A figure of every diagnosis, and of nothing else."""
AUDIT = "audit "
"""What the names of the audit's events begin with."""


class Audience(Protocol):
    """Whoever watches while the run goes on, such as the terminal."""

    def progress(self, step: int, epoch: float) -> None:
        """So many steps are done, and so much of the data was seen: by micro-batches of the next step, too."""
        ...

    def row(self, row: Mapping[str, float]) -> None: ...

    def event(self, severity: Severity, message: str, advice: str) -> None: ...

    def notice(self, message: str) -> None:
        """Why the next step takes long, or the like: no finding, but to be seen at once."""
        ...


class RunRecord:
    """Implements what the trainer calls `Record`."""

    def __init__(self, writer: RunWriter, judge: Judge, observers: Observers | None = None) -> None:
        self._writer = writer
        self._judge = judge
        self._observers = observers or Observers()
        writer.listener = self._observers.event
        writer.tell_loss = self.lost
        self.audience: Audience | None = None
        """Set once it can be told how long the run is."""
        self.findings = RunFindings()
        """What was not fine while the run went on."""
        self.orders: RollbackOrders | None = None
        """Who takes the run back; nobody when not set."""
        self.rank_rows: LineAppender | None = None
        """Where rank 0's own time and loss go, where several ranks share the batches."""
        self._diagnosed: list[float] = []
        """Steps of the diagnoses that recorded rows tell of."""
        self._known_to_miss = 0
        """Of these, how many an earlier resume has said are missing."""
        self.stop: Callable[[], None] = lambda: None
        """Is called once the run directory is lost: the run is to end at the next micro-batch."""

    def replay(self, rows: Iterable[Mapping[str, float]]) -> list[float]:
        """Let the judge see the rows that a resumed run recorded before; what they set off has been told.

        Returns:
            The rows' steps.
        """
        steps = []
        for row in rows:
            steps.append(row.get("step", 0.0))
            if DIAGNOSED in row:
                self._diagnosed.append(steps[-1])
            for firing in self._judge.observe(row):
                self.findings.add(finding_of(firing))
        return steps

    def recall(self, events: Iterable[Event]) -> None:
        """Keep in mind what the audit of a resumed run found, and what was missing; it has been told."""
        for event in events:
            missing = event.evidence.get("diagnoses") if event.name == "rows missing" else None
            self._known_to_miss = max(self._known_to_miss, missing if isinstance(missing, int) else 0)
            if event.name.startswith(AUDIT):
                self.findings.add(
                    Finding(
                        name=event.name,
                        severity=event.severity,
                        message=event.message,
                        step=event.step,
                        evidence={key: value for key, value in event.evidence.items() if key != "set"},
                        advice=event.advice,
                        set=_table(event.evidence.get("set")),
                    )
                )

    @property
    def decision(self) -> Decision:
        """What the rules ask for, after all rows so far."""
        return self._judge.decision

    @property
    def healthy_before(self) -> tuple[float, ...]:
        """Steps before which a checkpoint may still be wanted for a rollback."""
        return self._judge.healthy_before

    def taken_back(self, step: int, *, after_row: bool) -> str | None:
        """Why the run is to be rolled back now, in words; None while it is not."""
        if self.orders is None:
            return None
        return self.orders.taken_back(step, self.decision.rollback, after_row=after_row)

    def taken_over(self, lineage: Lineage, anew: Sequence[str], step: int) -> None:
        """Record which run a rollback took this one from, and which weights it could not take over."""
        story = lineage.story[-1].describe()
        message = ". ".join([f"Rolled back {story}", *(text[:1].upper() + text[1:] for text in anew)]) + "."
        evidence = {"parent": lineage.parent, "to": lineage.step, "changes": list(lineage.changes), "anew": list(anew)}
        self._writer.event("rolled back from", "info", message, step=step, evidence=evidence)

    def handed_over(self, reason: str, child: Path) -> None:
        """Show that the run was rolled back; its events say so already."""
        self._tell("warning", f"Rolled back: {reason}. {child} goes on in its place.", "")

    def row(self, row: Mapping[str, float]) -> None:
        """Write a metrics row, and flag the rules that it sets off."""
        self._writer.row(row)
        self._stop_if_lost()
        self._observers.row(row)
        if self.audience is not None:
            self.audience.row(row)
        for firing in self._judge.observe(row):
            self._flag(firing)
            self.findings.add(finding_of(firing))

    def _flag(self, firing: Firing) -> None:
        """Write the event of a rule that fired, with what a rollback would change and how to type it; tell of it."""
        flag = self.orders.flag(firing) if self.orders else None
        more = {} if flag is None else {"changes": flag.changes, "command": flag.command}
        self._writer.firing(firing, **(more | {"fault": flag.fault} if flag and flag.fault else more))
        told = [firing.advice]
        if flag is not None and not (self.orders and self.orders.act_on(firing)):
            told.append(flag.describe())
        self._tell(firing.severity, firing.message, "  ".join(filter(None, told)))

    def tell_of_losses(
        self, rows: LostRows | None, ranks: Mapping[int, tuple[int, int]], num_events: int, step: int
    ) -> None:
        """Say which rows, how many of each rank's own, how many diagnoses and how many events are not there any more
        though the run had written them."""
        if rows is not None:
            evidence = {"missing": rows.count, "gaps": rows.gaps}
            advice = "Training is not concerned. Charts have a gap, and rules go on without these rows."
            self.event("rows missing", "warning", rows.describe(), step=step, evidence=evidence, advice=advice)
        if ranks:
            each = ", ".join(f"{missing} of {noted} of rank {rank}" for rank, (missing, noted) in ranks.items())
            message = f"Rows of single ranks up to step {step} are missing: {each}."
            evidence = {"ranks": {str(rank): missing for rank, (missing, _) in ranks.items()}}
            advice = "Training is not concerned. The charts of these ranks have a gap."
            self.event("rows missing", "warning", message, step=step, evidence=evidence, advice=advice)
        there = {row.get("step") for row in RecordedRows(self._writer.path / DIAGNOSTICS)}
        gone = sum(each not in there for each in self._diagnosed)
        if gone > self._known_to_miss:
            are = "is" if gone == 1 else "are"
            message = f"{gone} of {len(self._diagnosed)} diagnoses up to step {step} {are} missing."
            advice = "Training is not concerned. The monitor's spectrum has a gap."
            self.event("rows missing", "warning", message, step=step, evidence={"diagnoses": gone}, advice=advice)
        if num_events:
            message = f"{num_events} event{'s are' if num_events > 1 else ' is'} missing that the run had written."
            self.event("events missing", "warning", message, step=step, evidence={"missing": num_events})

    def rank_row(self, row: Mapping[str, float]) -> None:
        """Write rank 0's own time and loss."""
        if self.rank_rows is not None:
            self.rank_rows.append(dict(row))

    def diagnosis(self, row: Mapping[str, Any]) -> None:
        """Write a row of diagnostics."""
        self._writer.diagnosis(row)

    def event(
        self,
        name: str,
        severity: Severity,
        message: str,
        *,
        step: int,
        evidence: Mapping[str, Any] | None = None,
        advice: str = "",
        notice: bool = False,
    ) -> None:
        """Write an event and tell of it; with `notice` it is seen at once though it is no warning."""
        self._writer.event(name, severity, message, step=step, evidence=evidence, advice=advice)
        self.findings.add(
            Finding(name=name, severity=severity, message=message, step=step, evidence=evidence or {}, advice=advice)
        )
        self._tell(severity, message, advice)
        if notice and self.audience is not None:
            self.audience.notice(message)

    def audited(self, findings: Iterable[Finding]) -> None:
        """Write what the audit found before the first step; whoever opened the screen has told of it."""
        for finding in findings:
            named = attrs.evolve(finding, name=f"{AUDIT}{finding.name}", step=0)
            evidence = {**finding.evidence, "set": finding.set}
            self._writer.event(
                named.name, named.severity, named.message, step=0, evidence=evidence, advice=named.advice
            )
            self.findings.add(named)

    def keep_batch(self, batch: BadBatch, tensors: bytes) -> str | None:
        """Write a batch in which something was not finite; see `write_bad_batch`. None where the directory is lost."""
        return None if self._writer.look() else write_bad_batch(self._writer.path, batch, tensors)

    def heartbeat(self, step: int, epoch: float) -> None:
        """Note progress."""
        self._writer.heartbeat(step, epoch)
        self._stop_if_lost()
        for notice in self._observers.notices():
            self.observer_notice(notice, step)
        if self.audience is not None:
            self.audience.progress(step, epoch)

    def observer_notice(self, notice: Notice, step: int) -> None:
        """Say what went wrong with an observer."""
        self.event(notice.name, "warning", notice.message, step=step, evidence=notice.evidence, advice=notice.advice)

    def lost(self, found: Finding) -> None:
        """Show that a file was deleted, in the verdict too; its event is written."""
        self.findings.add(found)
        self._tell(found.severity, found.message, found.advice)

    def _stop_if_lost(self) -> None:
        if self._writer.loss is not None:
            self.stop()

    def _tell(self, severity: Severity, message: str, advice: str) -> None:
        if self.audience is not None:
            self.audience.event(severity, message, advice)


class RecordedCheckpoints(CheckpointFolder):
    """The checkpoints of an open run directory, wherever it is moved. None is on the disk before the rows and events
    that it stands on."""

    def __init__(self, writer: RunWriter, recipe: Recipe) -> None:
        super().__init__(writer.path / CHECKPOINTS, recipe.checkpoint.keep)
        self._writer = writer
        self._recipe = recipe

    def save(self, step: int, states: Mapping[str, Any]) -> Checkpoint:
        """See `CheckpointFolder.save`."""
        try:
            self._writer.sync()
        except OSError as error:
            raise CheckpointError(
                f"Checkpoint {self.folder}/step-{step} was not written, as the rows before it cannot reach the disk: "
                f"{error.strerror}. {remedy(error)}."
            ) from error
        loss = self._writer.look()
        if loss is not None:
            if loss.path is None:
                raise CheckpointError(f"Checkpoint {self.folder}/step-{step} could not be written: {loss.what}.")
            self.folder = loss.path / CHECKPOINTS
        with suppress(OSError):  # the save meets what is there then, and says so
            self._writer.folders.mend(CHECKPOINTS)
        return super().save(step, states)

    def best(self) -> BestCheckpoint | None:
        """The best of those that are there and that the run's own recipe can load, by the run's rows."""
        run, lineage = self._writer.path, read_lineage(self._writer.path)
        inherited = -1 if lineage is None else lineage.step
        kept = {
            checkpoint.step: str(checkpoint.path.relative_to(run))
            for checkpoint in self.all()
            if checkpoint.step > inherited or why_no_model(self._recipe, checkpoint) is None
        }
        return best_checkpoint(kept, RunReader(run).rows())


def _table(recorded: object) -> Mapping[str, Any]:
    return recorded if isinstance(recorded, dict) else {}
