"""The names of the files in a run directory, and which directories are runs."""

from __future__ import annotations

import os
import re
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
BAD_BATCHES = "bad_batches"

_MARKS = (STATUS, METRICS, RECIPE)
_RANK_METRICS = re.compile(r"metrics\.rank(0|[1-9][0-9]{0,8})\.jsonl")


def linked(folder: Path) -> str:
    """Why a folder within a run that is a link is not used, and what to do."""
    return (
        f"{folder} is a symbolic link, which could lead anywhere, and a run's folders are its own. Move what it leads "
        "to into its place. To keep runs on another disk give --runs-dir, or let a link stand for the whole run "
        "directory."
    )


def metrics_name(rank: int = 0) -> str:
    """The metrics file of a rank."""
    return METRICS if rank == 0 else f"metrics.rank{rank}.jsonl"


def rank_metrics(rank: int) -> str:
    """The file in which a rank of a run on several processes records its own time and loss; rank 0 has one too, beside
    the figures of the whole run in `METRICS`."""
    return f"metrics.rank{rank}.jsonl"


def recorded_ranks(run: Path) -> tuple[int, ...]:
    """The ranks with figures of their own in a run directory, in order; none where they cannot be listed."""
    try:
        with os.scandir(run) as entries:
            matches = [(_RANK_METRICS.fullmatch(entry.name), entry) for entry in entries]
            return tuple(sorted(int(match[1]) for match, entry in matches if match and entry.is_file()))
    except OSError:
        return ()


def is_run(path: Path) -> bool:
    """Whether `path` is a run directory: a folder with at least one of a run's files."""
    try:
        return path.is_dir() and any((path / name).is_file() for name in _MARKS)
    except OSError:
        return False
