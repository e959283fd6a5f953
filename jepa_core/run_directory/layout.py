"""The names of the files in a run directory, and which directories are runs."""

from __future__ import annotations

from pathlib import Path

RECIPE = "recipe.toml"
ENVIRONMENT = "environment.json"
METRICS = "metrics.jsonl"
EVENTS = "events.jsonl"
DIAGNOSTICS = "diagnostics.jsonl"
CONSOLE = "console.log"
STATUS = "status.json"
VERDICT = "verdict.json"
ROLLBACK = "rollback.json"
"""Only in a run that a rollback made: where it comes from."""
LOCK = "run.lock"
CHECKPOINTS = "checkpoints"
CONTROL = "control"

_MARKS = (STATUS, METRICS, RECIPE)


def metrics_name(rank: int = 0) -> str:
    """The metrics file of a rank."""
    return METRICS if rank == 0 else f"metrics.rank{rank}.jsonl"


def is_run(path: Path) -> bool:
    """Whether `path` is a run directory: a folder with at least one of a run's files."""
    try:
        return path.is_dir() and any((path / name).is_file() for name in _MARKS)
    except OSError:
        return False
