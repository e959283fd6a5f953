"""What ranks other than 0 do: train beside it, and write nothing but their own time and loss."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from jepa_core.contracts import Crew
from jepa_core.engine.affordable import trainable_dataset
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.engine.device import Compute
from jepa_core.engine.ending import Ending
from jepa_core.engine.interruption import Interruption
from jepa_core.engine.meters import Meters
from jepa_core.engine.starting import Resumption
from jepa_core.engine.trainer import Trainer
from jepa_core.errors import CheckpointError
from jepa_core.recipes.tables import Recipe
from jepa_core.run_directory.bad_batches import BadBatch, write_bad_batch
from jepa_core.run_directory.layout import CHECKPOINTS, rank_metrics, recorded_ranks
from jepa_core.run_directory.line_appender import LineAppender
from jepa_core.run_directory.reading import RecordedRows
from jepa_core.watch.decision import Decision


def rank_rows(run: Path, crew: Crew, *, resume_at: int | None) -> LineAppender:
    """A rank's own file of rows; those later than `resume_at` are dropped.

    Raises:
        RunDirectoryError: it cannot be opened.
    """
    rows = LineAppender(run / rank_metrics(crew.rank))
    if resume_at is not None:
        rows.keep_until(resume_at)
    return rows


def set_aside(run: Path, crew: Crew, *, resume_at: int) -> None:
    """Rename the rows of ranks that there are no more, so that nobody waits for further ones."""
    for rank in recorded_ranks(run):
        if rank >= crew.size or crew.size == 1:
            rows = run / rank_metrics(rank)
            names = (f".until-step-{resume_at}{f'-{number}' if number else ''}.jsonl" for number in count())
            rows.rename(next(path for path in map(rows.with_suffix, names) if not os.path.lexists(path)))


def lost_rank_rows(run: Path, crew: Crew, meters: Meters, step: int) -> dict[int, tuple[int, int]]:
    """Rank → how many of its own rows up to a checkpoint are missing, and of how many. Those that are there count from
    now on.

    Raises:
        RunDirectoryError: a file of them is no plain one.
    """
    lost = {}
    for rank, noted in enumerate(meters.rank_rows if crew.size > 1 else []):
        # Where there were fewer ranks in between, what was there before was set aside.
        files = [run / rank_metrics(rank), *run.glob(f"metrics.rank{rank}.until-step-*.jsonl")]
        there = sum(row.get("step", 0.0) <= step for rows in map(RecordedRows, files) for row in rows)
        if rank < crew.size and there < noted:
            lost[rank] = noted - there, noted
        meters.rank_rows[rank] = there
    return lost


def follow(recipe: Recipe, compute: Compute, crew: Crew, run: Path, *, resumes: bool) -> Ending:
    """Train as rank 0 does, in step with it; how that ended.

    Raises:
        JepaError: data or checkpoint cannot be read; a meeting failed.
    """
    with Interruption(heeds_repeats=False) as interruption:
        resumption = Resumption.of(run, recipe) if resumes else None
        rows = rank_rows(run, crew, resume_at=resumption.step if resumption else None)
        try:
            folder = CheckpointFolder(run / CHECKPOINTS, recipe.checkpoint.keep)
            trainer = Trainer(
                recipe, trainable_dataset(recipe, compute), compute, folder, _Following(rows, run), crew=crew
            )
            trainer.initialise()
            with trainer.step.whole():
                pass  # rank 0 ranks what learns nothing, with all parameters
            restored(trainer, resumption)
            interruption.wait_for_steps()
            # Rank 0 ranks what learns nothing and audits meanwhile.
            crew.meet()
            ending = trainer.train(interruption)
            if ending.kind != "rolled back":
                with trainer.step.whole():
                    pass  # rank 0 may look at the model once more, for its verdict
            return ending
        finally:
            rows.close()


def restored(trainer: Trainer, resumption: Resumption | None) -> Any:
    """Bring a trainer to where the run goes on; what starts anew because a changed recipe has no place for it.

    Raises:
        CheckpointError: ranks found different checkpoints.
    """
    if resumption is None or resumption.checkpoint is None:
        return ()
    _require_one_step(trainer.crew, resumption.step)
    if resumption.inherits:
        return trainer.inherit(resumption.checkpoint)
    trainer.resume(resumption.checkpoint)
    return ()


def _require_one_step(crew: Crew, step: int) -> None:
    """Refuse to go on from different checkpoints.

    Raises:
        CheckpointError: ranks found different ones.
    """
    if crew.agree([step, -step]) != [step, -step]:
        raise CheckpointError(
            f"Rank {crew.rank} found its newest checkpoint at step {step}, another rank a different one. All ranks "
            "have to read the same run directory."
        )


class _Following:
    """A record that keeps a rank's own rows. What the rules ask for is rank 0's to tell."""

    decision = Decision()
    healthy_before: tuple[float, ...] = ()

    def __init__(self, rows: LineAppender, run: Path) -> None:
        self._rows, self._run = rows, run

    def taken_back(self, step: int, *, after_row: bool) -> None:
        """Nothing asks for it here."""

    def row(self, row: Mapping[str, float]) -> None:
        """Rank 0 writes it."""

    def rank_row(self, row: Mapping[str, float]) -> None:
        """Write this rank's."""
        self._rows.append(dict(row))

    def diagnosis(self, row: Mapping[str, Any]) -> None:
        """Rank 0 writes it."""

    def event(self, *_: Any, **__: Any) -> None:
        """Rank 0 tells of it."""

    def keep_batch(self, batch: BadBatch, tensors: bytes) -> str | None:
        """Write this rank's part."""
        return write_bad_batch(self._run, batch, tensors)

    def heartbeat(self, step: int, epoch: float) -> None:
        """Rank 0 notes it."""
