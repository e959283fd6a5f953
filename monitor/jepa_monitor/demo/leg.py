"""One run directory of the demo, from its first row to its ending. The rules judge it as they judge any run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from rich.text import Text

from jepa_core.presentation.training_screen import TrainingScreen, plain_log
from jepa_core.presentation.verdict_table import verdict_table
from jepa_core.rollback.lineage import read_lineage
from jepa_core.run_directory.baseline_runs import resolve_baseline
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_epochs, recorded_metrics, recorded_watch
from jepa_core.run_directory.settled import REAL
from jepa_core.run_directory.status import State
from jepa_core.run_directory.stored_checkpoints import (
    FILES,
    FORMAT,
    MANIFEST,
    checkpoint_name,
    file_sum,
    manifest_sum,
    stored_checkpoints,
)
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.best_checkpoint import best_checkpoint
from jepa_core.watch.findings import Finding, Severity
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.run_findings import RunFindings, finding_of
from jepa_core.watch.verdict import BestCheckpoint, Ending
from jepa_monitor.demo.figures import DATA_FINGERPRINT, NULLS, Figures
from jepa_monitor.demo.stage import Stage
from jepa_monitor.demo.story import (
    TOTAL_STEPS,
    Plot,
    epoch_of,
    is_checkpoint_due,
    is_diagnosis_due,
    is_row_due,
    is_validation_due,
)

_BAD_TENSOR = "loss relational at micro-batch 0"
_NO_TENSORS = (2).to_bytes(8, "little") + b"{}"
"""A safetensors file without tensors: the length of its header, and the header."""


@attrs.frozen(kw_only=True)
class Part:
    """What one leg is made of."""

    path: Path
    """An existing run directory; with a parent, its rows up to `start` are in it already."""
    recipe: Mapping[str, Any]
    plot: Plot = attrs.field(factory=Plot)
    number: int = 0
    """Rollbacks before it."""
    start: int = 0
    parent: str = ""


class Leg:
    """An open leg."""

    def __init__(self, stage: Stage, part: Part, recorder: Recorder) -> None:
        self.part = part
        self.recorder = recorder
        self._stage = stage
        self._figures = Figures(part.plot, stage.seed, part.number, stage.pace.seconds_per_step)
        self.step = part.start
        """The newest step with a row."""

    def begin(self) -> None:
        """Take in what the parent left, and say how the leg begins."""
        part, recorder = self.part, self.recorder
        recorder.screen.print(Text(f"demo · a scripted run, no model is trained · {part.path}"))
        recorder.recall(RunReader(part.path).rows())
        recorder.writer.status.update(state="running", step=part.start, epoch=epoch_of(part.start))
        lineage = read_lineage(part.path)
        if lineage is not None:
            change = ", ".join(lineage.changes) or "the same recipe"
            message = f"Training goes on after step {part.start} of {part.parent}, with {change}."
            recorder.event("rolled back from", "info", message, step=part.start)
        else:
            message = f"Training starts: {TOTAL_STEPS} steps of a script, no model is trained."
            recorder.event("started", "info", message, step=0)
        self._stage.announce(part.path)

    def steps(self) -> Iterator[int]:
        """Write step after step; gives each that had a row, for whoever wants to act at its boundary."""
        for step in range(self.part.start + 1, self.part.plot.ends_at + 1):
            self._stage.pace.pass_step()
            if is_row_due(step):
                self._stage.pace.wait()
                self._row(step)
                yield step

    def conclude(self) -> None:
        """Write down how the leg ended: at its last step, or at a step that was not finite."""
        if self.part.plot.is_finite(self.part.plot.ends_at):
            self._end("finished", TOTAL_STEPS, "all epochs are done")
            return
        bad = self.part.plot.ends_at - 1
        reason = f"step {bad} was not finite: first {_BAD_TENSOR}"
        self.recorder.event(
            "non-finite",
            "critical",
            f"S{reason[1:]}. Nothing has changed from that step on.",
            step=bad,
            evidence={"step": bad, "cause": f"first {_BAD_TENSOR}"},
            advice="Start again with a lower optimizer.lr or train.clip_norm, or with train.precision = 'fp32'.",
        )
        self._end("non-finite", bad - 1, reason)

    def _row(self, step: int) -> None:
        epoch, figures = epoch_of(step), self._figures
        row = {"step": step, "epoch": epoch} | figures.training(step)
        is_sound = self.part.plot.is_finite(step)
        if is_sound and is_diagnosis_due(step):
            diagnosis = figures.diagnosis(step)
            row |= diagnosis.figures
            self.recorder.writer.diagnosis({"step": step, "epoch": epoch, **diagnosis.detail})
        if is_sound and is_validation_due(step):
            row |= figures.validation(step)
        self.recorder.row(row)
        if is_sound and is_checkpoint_due(step):
            self._save(step)
        self.recorder.heartbeat(step, epoch)
        self.step = step

    def _save(self, step: int) -> None:
        write_checkpoint(self.part.path / CHECKPOINTS, step, epoch_of(step))
        self.recorder.event("checkpoint", "info", f"Checkpoint at step {step}.", step=step)

    def _end(self, ending: Ending, step: int, reason: str) -> None:
        recorder, writer = self.recorder, self.recorder.writer
        lineage = read_lineage(self.part.path)
        verdict = reach_verdict(
            recorder.judge,
            run=self.part.path,
            ending=ending,
            cause="" if ending == "finished" else reason,
            best=self._best(),
            findings=recorder.findings.all(),
            story=lineage.story if lineage else (),
            nulls=NULLS,
        )
        # Whatever it came to: there is no model that could be looked at.
        verdict = attrs.evolve(verdict, next=f"{REAL}  # a real one, in about a minute")
        writer.write_verdict(verdict)
        state: State = "finished" if ending == "finished" else "aborted"
        severity: Severity = "info" if ending == "finished" else "warning"
        writer.event(state, severity, reason, step=step, evidence={"exit_code": verdict.exit_code})
        writer.status.update(state=state, step=step, epoch=epoch_of(step), exit_code=verdict.exit_code)
        for console in (self._stage.console, plain_log(writer.console_log)):
            console.print()
            console.print(verdict_table(verdict), crop=False)

    def _best(self) -> BestCheckpoint | None:
        run = self.part.path
        kept = {found.step: str(found.path.relative_to(run)) for found in stored_checkpoints(run / CHECKPOINTS)}
        return best_checkpoint(kept, RunReader(run).rows())


def judge_of(recipe: Mapping[str, Any], runs_dir: Path) -> Judge:
    """The judge of a recorded recipe."""
    watch = recorded_watch(recipe).watch
    baseline = resolve_baseline(watch.baseline, runs_dir, DATA_FINGERPRINT).values
    return Judge(watch, recorded_metrics(recipe), baseline, recorded_epochs(recipe))


def write_checkpoint(folder: Path, step: int, epoch: float) -> Path:
    """Write `step-N` into the folder `checkpoints/` of a run: verifiable as a trainer's, but with no tensors, as
    nothing was trained."""
    path = folder / checkpoint_name(step)
    path.mkdir()
    state = json.dumps({"progress": {"step": step, "epoch": epoch}}).encode()
    for name, content in zip(FILES, (_NO_TENSORS, state), strict=True):
        (path / name).write_bytes(content)
    sums = {name: {"sha256": file_sum(path / name), "bytes": (path / name).stat().st_size} for name in FILES}
    manifest: dict[str, Any] = {"format": FORMAT, "step": step, "files": sums}
    manifest["sum"] = manifest_sum(manifest)
    (path / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return path


class Recorder:
    """Writes one leg into its run directory, before the judge and onto the screen, as the trainer does. Its rules fire,
    and nothing acts on them."""

    def __init__(self, writer: RunWriter, judge: Judge, screen: TrainingScreen) -> None:
        self.writer = writer
        self.judge = judge
        self.screen = screen
        self.findings = RunFindings()
        """What was not fine, for the verdict."""

    def recall(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Let the judge see the rows that the leg has from its parent; what they set off was told there."""
        for firing in (firing for row in rows for firing in self.judge.observe(row)):
            self.findings.add(finding_of(firing))

    def row(self, row: Mapping[str, float]) -> None:
        self.writer.row(row)
        self.screen.row(row)
        for firing in self.judge.observe(row):
            self.writer.firing(firing)
            self.findings.add(finding_of(firing))
            self.screen.event(firing.severity, firing.message, firing.advice)

    def event(
        self,
        name: str,
        severity: Severity,
        message: str,
        *,
        step: int,
        evidence: Mapping[str, Any] | None = None,
        advice: str = "",
    ) -> None:
        self.writer.event(name, severity, message, step=step, evidence=evidence, advice=advice)
        evidence = evidence or {}
        self.findings.add(
            Finding(name=name, severity=severity, message=message, step=step, evidence=evidence, advice=advice)
        )
        self.screen.event(severity, message, advice)

    def heartbeat(self, step: int, epoch: float) -> None:
        self.writer.heartbeat(step, epoch)
        self.screen.progress(step, epoch)
