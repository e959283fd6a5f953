"""Runs that are rolled back by the program, and what is read of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.cli import main
from jepa_core.registry import installed
from jepa_core.rollback.lineage import read_lineage
from jepa_core.run_directory.reading import RunReader

ROOT = Path(__file__).parents[2]
PARTS = ROOT / "tests" / "engine" / "failing_parts.py"
SMALL = {
    "data.num_sequences": "96",
    "data.side": "8",
    "encoder.dim": "16",
    "encoder.layers": "1",
    "encoder.heads": "2",
    "encoder.max_objects": "8",
    "projector.dim": "12",
    "losses.info_nce.queue": "16",
    "losses.sigreg.slices": "8",
    "losses.sigreg.points": "5",
    "train.batch_size": "16",
    "train.accumulate": "1",
    "train.epochs": "4",
    "schedule.warmup_steps": "2",
    "schedule.total_steps": "40",
    "diagnostics.log_every_steps": "1",
    "diagnostics.every_steps": "10",
    "diagnostics.sample": "16",
    "checkpoint.every_steps": "2",
    "checkpoint.every_epochs": "1000",
}
"""The recipe on five steps an epoch."""


class Runs:
    """The program, in a folder of runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: object) -> int:
        installed.cache_clear()
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        assert isinstance(done.value.code, int)
        return done.value.code

    def train(self, *flags: str, **settings: str) -> int:
        """Train optimized.toml, small; settings are given with two underscores for a dot."""
        given = SMALL | {key.replace("__", "."): value for key, value in settings.items()}
        sets = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
        recipe = ROOT / "recipes" / "optimized.toml"
        return self("run", recipe, "--no-audit", "--plugin", PARTS, "--runs-dir", self.folder, *flags, *sets)

    def rollback(self, run: Path, *flags: str) -> int:
        return self("rollback", run, "--plugin", PARTS, *flags)

    def all(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir())

    def child_of(self, run: Path) -> Path:
        status = RunReader(run).status()
        assert status is not None
        assert status.child
        return self.folder / status.child


def contents(run: Path) -> dict[str, bytes]:
    """All files but those that a rollback marks."""
    marked = {"status.json", "events.jsonl", "run.lock"}
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name not in marked}


def state_of(run: Path) -> str:
    return RunReader(run).state()


def steps_of(run: Path) -> list[float]:
    return [row["step"] for row in RunReader(run).rows()]


def story_of(run: Path) -> str:
    lineage = read_lineage(run)
    assert lineage is not None
    return lineage.scenario
